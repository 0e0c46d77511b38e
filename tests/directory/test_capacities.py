"""What cells hold and where tenants may live: the contract, asked of every implementation of the truth."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from directory.errors import AlreadyExists, BadCapacity, CellFull, NotAllowed, NotFound, Stale
from directory.postgres import PostgresDirectory
from directory.truth import Directory
from directory.values import Capacity, Caps, CellChange, NewMove
from runtime import database
from runtime.embedded.postgres import PostgresServer
from tests.directory.examples import new_cell, new_tenant, open_cell
from tests.directory.moving import Stage
from tests.servers import new_control_database

LARGE = Capacity(cpus=32.5, memory_bytes=2**37, storage_bytes=2**42, network_bits=1e10)
CAPS = Caps(revenue=250_000.0, top_tier=40)


async def _home(truth: Directory, tenant_id: str = "acme") -> tuple[str, int]:
    home = (await truth.tenant(tenant_id)).assignment
    assert home is not None
    return home.cell_id, home.epoch


async def _empty(truth: Directory, cell_id: str) -> None:
    await truth.change_cell(cell_id, "drain")
    await truth.change_cell(cell_id, "empty")


async def test_what_a_cell_holds_is_kept_as_it_was_told(truth: Directory) -> None:
    """Capacity, caps and dedication come with the registration, or later; what is not told is not known."""
    told = replace(new_cell(), capacity=LARGE, caps=CAPS, dedicated_to="acme")
    cell = await truth.register_cell(told)
    assert (cell.capacity, cell.caps, cell.dedicated_to) == (LARGE, CAPS, "acme")
    plain = await truth.register_cell(new_cell("cell-2"))
    assert (plain.capacity, plain.caps, plain.dedicated_to) == (Capacity(), Caps(), "")
    changed = await truth.update_cell("cell-2", CellChange(capacity=Capacity(cpus=4), version="2"))
    assert (changed.capacity, changed.caps, changed.version) == (Capacity(cpus=4), Caps(), "2")
    assert [one.capacity for one in await truth.cells()] == [LARGE, Capacity(cpus=4)]
    forgotten = await truth.update_cell("cell-1", CellChange(capacity=Capacity(), dedicated_to=""))
    assert (forgotten.capacity, forgotten.caps, forgotten.dedicated_to) == (Capacity(), CAPS, "")
    assert await truth.cell("cell-1") == forgotten


@pytest.mark.parametrize("number", [0, -1, float("nan"), float("inf"), 2.0**60])
async def test_a_capacity_that_nobody_can_reckon_with_is_refused(truth: Directory, number: float) -> None:
    """Neither when registered nor later, and nothing is changed."""
    for change in (CellChange(capacity=Capacity(cpus=number)), CellChange(caps=Caps(revenue=number))):
        with pytest.raises(BadCapacity):
            await truth.register_cell(
                replace(new_cell(), capacity=change.capacity or Capacity(), caps=change.caps or Caps())
            )
    await truth.register_cell(replace(new_cell(), capacity=LARGE))
    with pytest.raises(BadCapacity):
        await truth.update_cell("cell-1", CellChange(capacity=Capacity(network_bits=number), capacity_tenants=1))
    cell = await truth.cell("cell-1")
    assert (cell.capacity, cell.capacity_tenants) == (LARGE, 10)


async def test_a_change_made_from_what_is_outdated_is_refused(truth: Directory) -> None:
    """Two operators who each change a part of the capacity lose neither."""
    was = await truth.register_cell(replace(new_cell(), capacity=Capacity(cpus=4)))
    wider = await truth.update_cell("cell-1", CellChange(capacity=Capacity(cpus=8)), was)
    with pytest.raises(Stale):
        await truth.update_cell("cell-1", CellChange(capacity=Capacity(cpus=4, memory_bytes=1)), was)
    both = await truth.update_cell("cell-1", CellChange(capacity=Capacity(cpus=8, memory_bytes=1)), wider)
    assert both.capacity == Capacity(cpus=8, memory_bytes=1)


async def test_where_a_tenant_may_live_is_kept_and_changed(truth: Directory) -> None:
    """It is for placement alone: no revision, no number of a change, nothing that routers or cells must know."""
    await truth.register_cell(replace(new_cell(), tags=("eu-only", "hipaa"), dedicated_to="acme"))
    await truth.change_cell("cell-1", "open")
    asked = replace(new_tenant(), tags=("hipaa",), revenue=99.5, dedicated_to="acme")
    made = await truth.create_tenant(asked, "cell-1")
    assert (made.tags, made.revenue, made.dedicated_to) == (("hipaa",), 99.5, "acme")
    head = await truth.head()
    changed = await truth.place_tenant("acme", tags=["hipaa", "eu-only", "hipaa"], revenue=0)
    assert (changed.tags, changed.revenue, changed.dedicated_to) == (("eu-only", "hipaa"), 0.0, "acme")
    shared = await truth.place_tenant("acme", tags=[], dedicated_to="")
    assert (shared.tags, shared.dedicated_to, shared.revision) == ((), "", made.revision)
    assert await truth.head() == head
    assert await truth.tenant("acme") == shared
    assert [one.dedicated_to for one in await truth.tenants()] == [""]


async def test_a_place_that_cannot_be_is_refused(truth: Directory) -> None:
    """Senseless numbers and names, tenants that are not there, tenants that are deleted."""
    await open_cell(truth)
    await truth.create_tenant(new_tenant(), "cell-1")
    for revenue in (-1.0, float("nan"), float("inf")):
        with pytest.raises(BadCapacity):
            await truth.place_tenant("acme", revenue=revenue)
    with pytest.raises(BadCapacity):
        await truth.place_tenant("acme", tags=["No Label"])
    with pytest.raises(BadCapacity):
        await truth.place_tenant("acme", dedicated_to="x" * 41)
    with pytest.raises(NotFound):
        await truth.place_tenant("bolt", revenue=1)
    await truth.change_tenant("acme", "suspend")
    await truth.change_tenant("acme", "delete")
    with pytest.raises(NotAllowed):
        await truth.place_tenant("acme", revenue=1)


@pytest.mark.parametrize(
    "wish", [{"region": "us"}, {"tags": ("hipaa",)}, {"dedicated_to": "acme"}, {"dedicated_to": "other"}]
)
async def test_nobody_gets_a_place_in_which_it_may_not_live(truth: Directory, wish: dict[str, object]) -> None:
    """Whatever a placer believed: the transaction that takes the place looks at residency, tags and dedication."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    with pytest.raises(CellFull):
        await truth.create_tenant(replace(new_tenant("strict"), **wish), "cell-1")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await truth.tenant("strict")
    assert (await truth.cell("cell-1")).tenants == 0


async def test_nobody_is_moved_to_where_it_may_not_live(stage: Stage) -> None:
    """Neither planned, nor committed when that changed while it was on its way. It lives where it lived."""
    await stage.prepare("acme")
    await stage.truth.update_cell("cell-2", CellChange(dedicated_to="acme"))
    assert "cell-2 is dedicated to acme" in (await stage.desk.check(NewMove("acme", "cell-2")))[0]
    with pytest.raises(NotAllowed, match="may not live there"):
        await stage.desk.plan(NewMove("acme", "cell-2"))
    await stage.truth.place_tenant("acme", dedicated_to="acme")
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    await stage.truth.place_tenant("acme", dedicated_to="")
    home = await _home(stage.truth)
    with pytest.raises(CellFull):
        await stage.moves.commit(move.move_id, move.token, home[1])
    assert await _home(stage.truth) == home
    await stage.truth.place_tenant("acme", dedicated_to="acme")
    await stage.moves.commit(move.move_id, move.token, home[1])
    assert (await _home(stage.truth))[0] == "cell-2"


async def test_a_way_back_stays_open_to_where_it_may_no_longer_live(stage: Stage) -> None:
    """A reverse is what saves a tenant from a bad move: its rows are still there."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "REVERSIBLE")
    await stage.truth.place_tenant("acme", tags=["hipaa"])
    back = await stage.claim((await stage.desk.plan(NewMove("acme", "cell-1", reverses=move.move_id))).move_id)
    await stage.bring(back, "COMMITTED")
    assert (await _home(stage.truth))[0] == "cell-1"


async def test_a_cell_in_which_others_live_cannot_be_dedicated(stage: Stage) -> None:
    """Nor shared again while its owner lives there, nor while others are on their way from it or to it."""
    truth = stage.truth
    await stage.prepare("acme", "bolt")
    with pytest.raises(NotAllowed, match="acme, bolt may not live there"):
        await truth.update_cell("cell-1", CellChange(dedicated_to="zen"))
    with pytest.raises(NotAllowed, match="cannot be dedicated to acme: bolt may not live there"):
        await truth.update_cell("cell-1", CellChange(dedicated_to="acme", version="2"))
    assert ((await truth.cell("cell-1")).dedicated_to, (await truth.cell("cell-1")).version) == ("", "")
    move = await stage.bring(await stage.claimed("bolt"), "REVERSIBLE")
    for cell_id in ("cell-1", "cell-2"):
        with pytest.raises(NotAllowed):
            await truth.update_cell(cell_id, CellChange(dedicated_to="acme"))
    await stage.bring(move, "DONE")
    assert (await truth.update_cell("cell-1", CellChange(dedicated_to="acme"))).dedicated_to == "acme"
    await truth.place_tenant("acme", dedicated_to="acme")
    with pytest.raises(NotAllowed, match="cannot be shared: acme may not live there"):
        await truth.update_cell("cell-1", CellChange(dedicated_to=""))
    await truth.place_tenant("acme", dedicated_to="")
    assert (await truth.update_cell("cell-1", CellChange(dedicated_to=""))).dedicated_to == ""


async def test_dedicating_a_cell_while_tenants_arrive_leaves_no_stranger_in_it(truth: Directory) -> None:
    """Either a tenant was quicker, and the cell stays shared; or it finds no place."""
    for number in range(8):
        cell_id = f"cell-{number}"
        await open_cell(truth, cell_id)
        await asyncio.gather(
            truth.create_tenant(new_tenant(f"one-{number}"), cell_id),
            truth.update_cell(cell_id, CellChange(dedicated_to="acme")),
            truth.create_tenant(new_tenant(f"two-{number}"), cell_id),
            return_exceptions=True,
        )
        cell = await truth.cell(cell_id)
        assert (cell.dedicated_to == "acme") == (cell.tenants == 0)


async def test_a_cell_is_empty_only_when_nobody_lives_there(truth: Directory) -> None:
    """A deleted tenant lives there until the cell has removed its rows."""
    await open_cell(truth)
    created = await truth.create_tenant(new_tenant(), "cell-1")
    await truth.applied("acme", created.revision)
    await truth.change_cell("cell-1", "drain")
    with pytest.raises(NotAllowed, match="tenants live in cell cell-1"):
        await truth.change_cell("cell-1", "empty")
    await truth.change_tenant("acme", "suspend")
    deleted = await truth.change_tenant("acme", "delete")
    with pytest.raises(NotAllowed):
        await truth.change_cell("cell-1", "empty")
    await truth.applied("acme", deleted.revision)
    assert (await truth.change_cell("cell-1", "empty")).state == "empty"


async def test_a_cell_is_retired_once_no_move_needs_it_and_its_name_is_not_used_again(stage: Stage) -> None:
    """A way back may still lead there; afterwards nothing may be taken for the new cell of an old name."""
    truth = stage.truth
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "REVERSIBLE")
    await _empty(truth, "cell-1")
    with pytest.raises(NotAllowed, match=move.move_id):
        await truth.change_cell("cell-1", "retire")
    back = await stage.claim((await stage.desk.plan(NewMove("acme", "cell-1", reverses=move.move_id))).move_id)
    await stage.bring(back, "DONE")
    with pytest.raises(NotAllowed, match="tenants live in cell cell-1"):
        await truth.change_cell("cell-1", "retire")
    await truth.change_cell("cell-1", "drain")
    assert [one.phase for one in await stage.desk.moves(unfinished=True)] == ["REVERSING"]
    await stage.moves.record(move.move_id, move.token, "reversed")
    await stage.bring(await stage.claimed(), "DONE")
    await truth.change_cell("cell-1", "empty")
    assert (await truth.change_cell("cell-1", "retire")).state == "retired"
    with pytest.raises(AlreadyExists, match="is not used again"):
        await truth.register_cell(new_cell())


async def test_a_failed_cell_is_retired_only_when_nobody_lived_there(truth: Directory) -> None:
    """A cell that was lost with tenants in it is theirs until they are restored or deleted."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    await truth.create_tenant(new_tenant(), "cell-1")
    for cell_id in ("cell-1", "cell-2"):
        await truth.change_cell(cell_id, "fail")
    with pytest.raises(NotAllowed, match="tenants live in cell cell-1"):
        await truth.change_cell("cell-1", "retire")
    assert (await truth.change_cell("cell-2", "retire")).state == "retired"


SENSELESS = (
    ("UPDATE directory.cells SET capacity_cpus = $1", (float("nan"), float("inf"), -1, 0)),
    ("UPDATE directory.cells SET capacity_network_bits = $1", (float("nan"), float("inf"), -1, 0)),
    ("UPDATE directory.cells SET capacity_memory_bytes = $1", (-1, 0)),
    ("UPDATE directory.cells SET capacity_storage_bytes = $1", (-1, 0)),
    ("UPDATE directory.cells SET cap_revenue = $1", (float("nan"), float("inf"), -1, 0)),
    ("UPDATE directory.cells SET cap_top_tier = $1", (-1,)),
    ("UPDATE directory.cells SET dedicated_to = $1", (None, "x" * 41)),
    ("UPDATE directory.tenants SET revenue = $1", (float("nan"), float("inf"), -1, None)),
    ("UPDATE directory.tenants SET tags = $1", (None,)),
    ("UPDATE directory.tenants SET dedicated_to = $1", (None, "x" * 41)),
)


async def test_the_schema_itself_refuses_senseless_numbers(postgres_server: PostgresServer) -> None:
    """Whatever is written by hand, nothing is ever reckoned with NaN."""
    made = await new_control_database(postgres_server)
    admin = await database.reach(made.admin_dsn)
    pool = await database.open_pool(made.writer_dsn, name="test")
    try:
        truth = PostgresDirectory(pool)
        await open_cell(truth)
        await truth.create_tenant(new_tenant(), "cell-1")
        for statement, value in ((one, value) for one, values in SENSELESS for value in values):
            with pytest.raises((asyncpg.CheckViolationError, asyncpg.NotNullViolationError)):
                await admin.execute(statement, value)
    finally:
        await pool.close()
        await admin.close()
