"""The contract of room in cells, asked of every implementation (`stage` is Postgres and its twin in turn)."""

import asyncio
import math
import secrets
from dataclasses import astuple, replace

import pytest

from directory import postgres
from directory.errors import BadReservation, CellFull, DirectoryError, NotFound, Stale, TooMany
from directory.reservations import Booking, Homes, NewReservation, Room, Use
from directory.rules import reservations as rules
from directory.values import CellChange, NewMove
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from tests.directory.examples import new_cell, new_tenant, open_cell
from tests.directory.moving import Stage
from tests.servers import PASSWORD

ONE = (1.0, 0.0, 0.0, 0.0, 1.0, 5.0, 0.0)
"""A CPU, a place, and a revenue."""
PLENTY = (math.inf,) * 7


async def room(stage: Stage, cell_id: str = "cell-1") -> Room:
    """What is so just now."""
    return next(each for each in await stage.room.rooms() if each.cell.cell_id == cell_id)


def booking(seen: Room, cpus: float = math.inf, takes: tuple[float, ...] = ONE) -> Booking:
    """As by somebody who saw that, and so many CPUs free."""
    return Booking(takes, (seen.promised[0] + cpus, *PLENTY[1:]), seen.offer)


async def test_what_a_tenant_takes_is_promised_and_placed(stage: Stage) -> None:
    """And what is reserved is promised alone."""
    await open_cell(stage.truth)
    seen = await room(stage)
    assert (seen.promised, seen.placed, seen.reserved) == ((0.0,) * 7,) * 3
    await stage.truth.create_tenant(new_tenant(), "cell-1", booking(seen))
    made = await stage.room.reserve(NewReservation("cell-1", 60, "premium", "eu", ("pci",), "acme"), booking(seen))
    after = await room(stage)
    assert (after.promised, after.placed, after.reserved) == (tuple(2 * each for each in ONE), ONE, ONE)
    assert after.cell.tenants == 1
    assert (made.cell_id, made.takes, made.tags, made.dedicated_to, made.holds) == (
        "cell-1",
        ONE,
        ("pci",),
        "acme",
        True,
    )
    assert await stage.room.reservation(made.reservation_id) == made
    assert await stage.room.reservations() == [made]
    assert await stage.room.reservations(after=made.reservation_id) == []


async def test_of_two_that_saw_the_last_room_one_gets_it(stage: Stage) -> None:
    """Each that comes later is Stale, changes nothing, and finds its name free."""
    await open_cell(stage.truth)
    seen = await room(stage)
    rivals = [
        stage.truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1", booking(seen, cpus=3)) for n in range(6)
    ] + [stage.room.reserve(NewReservation("cell-1", 60), booking(seen, cpus=3)) for _ in range(6)]
    results = await asyncio.gather(*rivals, return_exceptions=True)
    assert sum(isinstance(result, Stale) for result in results) == 9
    after = await room(stage)
    assert after.promised[0] == 3
    assert after.cell.tenants == len(await stage.truth.tenants()) == after.placed[0]


async def test_a_burst_from_one_picture_passes_as_far_as_there_is_room(stage: Stage) -> None:
    """That somebody else was let in meanwhile is no reason to choose anew; that it is tight is."""
    await open_cell(stage.truth)
    seen = await room(stage)
    for n in range(5):
        await stage.truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1", booking(seen, cpus=5))
    with pytest.raises(Stale):
        await stage.truth.create_tenant(new_tenant("late"), "cell-1", booking(seen, cpus=5))
    await stage.truth.create_tenant(new_tenant("late"), "cell-1", booking(seen, cpus=6))


async def test_what_is_not_taken_is_in_nobodys_way(stage: Stage) -> None:
    """A cell above its cap takes whoever adds nothing to it."""
    await open_cell(stage.truth)
    seen = await room(stage)
    await stage.truth.create_tenant(new_tenant(), "cell-1", Booking(ONE, (*PLENTY[:6], -1.0), seen.offer))


async def test_a_picture_of_another_offer_is_outdated(stage: Stage) -> None:
    """Capacity, tags, state: what the cell was chosen by must still be so. Where it answers does not matter."""
    await open_cell(stage.truth)
    seen = await room(stage)
    await stage.truth.update_cell("cell-1", CellChange(address="http://127.0.0.1:9100"))
    await stage.truth.update_cell("cell-1", CellChange(capacity_tenants=10))
    assert (await room(stage)).offer == seen.offer
    cell = seen.cell
    for change in (
        CellChange(capacity_tenants=9),
        CellChange(tags=("pci",)),
        CellChange(capacity=replace(cell.capacity, cpus=4.0)),
        CellChange(caps=replace(cell.caps, revenue=4.0)),
    ):
        await stage.truth.update_cell("cell-1", change)
        with pytest.raises(Stale):
            await stage.truth.create_tenant(new_tenant(), "cell-1", booking(seen))
        with pytest.raises(Stale):
            await stage.room.reserve(NewReservation("cell-1", 60), booking(seen))
        seen = await room(stage)
    await stage.truth.change_cell("cell-1", "cordon")
    with pytest.raises(CellFull):
        await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage)))


async def test_a_tenant_uses_a_reservation_up_in_the_step_that_creates_it(stage: Stage) -> None:
    """One tenant gets it, also when several name it; what it does not create stays reserved."""
    await open_cell(stage.truth)
    made = await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage)))
    use = Use(made.reservation_id, ONE)
    with pytest.raises(DirectoryError):
        await stage.truth.create_tenant(replace(new_tenant(), region="us"), "cell-1", use)
    assert await stage.room.reservations() == [made]
    rivals = [stage.truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1", use) for n in range(5)]
    results = await asyncio.gather(*rivals, return_exceptions=True)
    assert sum(isinstance(result, NotFound) for result in results) == 4
    after = await room(stage)
    assert (after.cell.tenants, after.placed, after.reserved) == (1, ONE, (0.0,) * 7)
    with pytest.raises(NotFound):
        await stage.room.reservation(made.reservation_id)


async def test_a_picture_without_a_reservation_that_was_used_is_outdated(stage: Stage) -> None:
    """It may have looked after the end of the reservation, which was used just before."""
    await open_cell(stage.truth)
    made = await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage)))
    seen = await room(stage)
    await stage.truth.create_tenant(new_tenant("one"), "cell-1", Use(made.reservation_id, ONE))
    with pytest.raises(Stale):
        await stage.truth.create_tenant(new_tenant("two"), "cell-1", booking(seen, cpus=1))


async def test_a_reservation_is_for_one_cell_and_so_large_a_tenant(stage: Stage) -> None:
    """A smaller one may use it."""
    await open_cell(stage.truth)
    await open_cell(stage.truth, "cell-2")
    made = await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage)))
    with pytest.raises(Stale, match="is for cell cell-1"):
        await stage.truth.create_tenant(new_tenant(), "cell-2", Use(made.reservation_id, ONE))
    with pytest.raises(Stale, match="too little for this tenant: cpus, revenue"):
        await stage.truth.create_tenant(
            new_tenant(), "cell-1", Use(made.reservation_id, (2.0, 0.0, 0.0, 0.0, 1.0, 10.0, 0.0))
        )
    await stage.truth.create_tenant(new_tenant(), "cell-1", Use(made.reservation_id, (0.5, *ONE[1:])))


async def test_a_reservation_ends_by_itself(stage: Stage) -> None:
    """It takes no room and no tenant any more, and is removed; some at a time."""
    await open_cell(stage.truth)
    seen = await room(stage)
    made = [await stage.room.reserve(NewReservation("cell-1", 60), booking(seen)) for _ in range(3)]
    lasting = await stage.room.reserve(NewReservation("cell-1", 3600), booking(seen))
    await stage.pass_time(61)
    assert (await room(stage)).reserved == ONE
    with pytest.raises(Stale, match="is over"):
        await stage.truth.create_tenant(new_tenant(), "cell-1", Use(made[0].reservation_id, ONE))
    assert not (await stage.room.reservation(made[0].reservation_id)).holds
    assert [await stage.room.forget_expired(2) for _ in range(3)] == [2, 1, 0]
    assert [each.reservation_id for each in await stage.room.reservations()] == [lasting.reservation_id]


async def test_only_reservations_that_hold_fill_the_limit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are over and wait to be removed."""
    monkeypatch.setattr(rules, "MOST", 2)
    await open_cell(stage.truth)
    seen = await room(stage)
    for seconds in (60, 3600):
        await stage.room.reserve(NewReservation("cell-1", seconds), booking(seen))
    with pytest.raises(TooMany):
        await stage.room.reserve(NewReservation("cell-1", 60), booking(seen))
    await stage.pass_time(61)
    await stage.room.reserve(NewReservation("cell-1", 60), booking(seen))
    assert len(await stage.room.reservations()) == 3
    with pytest.raises(TooMany):
        await stage.room.reserve(NewReservation("cell-1", 60), booking(seen))


async def test_a_cancelled_reservation_is_gone(stage: Stage) -> None:
    """Its room is free for whoever looks next."""
    await open_cell(stage.truth)
    made = await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage)))
    await stage.room.cancel(made.reservation_id)
    assert (await room(stage)).reserved == (0.0,) * 7
    with pytest.raises(NotFound):
        await stage.room.cancel(made.reservation_id)


@pytest.mark.parametrize("seconds", [0, -1, 3601, math.nan, math.inf])
async def test_room_is_not_kept_for_ever(stage: Stage, seconds: float) -> None:
    """Nor for no time at all, and nobody takes less than nothing."""
    await open_cell(stage.truth)
    with pytest.raises(BadReservation):
        await stage.room.reserve(NewReservation("cell-1", seconds), booking(await room(stage)))
    with pytest.raises(BadReservation):
        await stage.room.reserve(NewReservation("cell-1", 60), booking(await room(stage), takes=(-1.0, *ONE[1:])))


async def test_who_lives_and_moves_where_is_counted_as_of_one_moment(stage: Stage) -> None:
    """By cell and plan; a move counts until it has ended."""
    await stage.prepare("one", "two", cells=2)
    await stage.truth.create_tenant(replace(new_tenant("rich"), plan="premium", revenue=9.5), "cell-2")
    await stage.desk.plan(NewMove("one", "cell-2"))
    seen: list[Homes] = []
    tally = await stage.room.tally(seen.append)
    assert sorted(astuple(each) for each in tally.inhabitants) == [
        ("cell-1", "standard", 2, 0.0),
        ("cell-2", "premium", 1, 9.5),
    ]
    assert [astuple(each) for each in tally.passages] == [
        ("one", "standard", 0.0, "cell-1", "cell-1", "cell-2", "PLANNED")
    ]
    assert set(tally.placed) == {"cell-1", "cell-2"}
    rows = [row for each in seen for row in zip(each.tenants, each.cells, each.plans, strict=True)]
    assert sorted(rows) == [
        ("one", "cell-1", "standard"),
        ("rich", "cell-2", "premium"),
        ("two", "cell-1", "standard"),
    ]
    assert await stage.room.tally() == tally


async def test_cells_of_before_have_room(postgres_server: PostgresServer) -> None:
    """An upgrade of a directory with cells forgets none of them."""
    name = f"rooms_{secrets.token_hex(4)}"
    roles = dict.fromkeys(("directory_owner", "directory_writer", "directory_mover"), PASSWORD)
    await database.bootstrap(postgres_server.admin_dsn, name, "directory_owner", roles)
    owner = await database.reach(postgres_server.dsn(name, "directory_owner", PASSWORD))
    await schema.upgrade(owner, postgres.COMPONENT, [step for step in postgres.UPGRADES if step.number < 10])
    cell = new_cell()
    await owner.execute(
        "INSERT INTO directory.cells (cell_id, region, state, address, control_address, capacity_tenants, version,"
        " tags) VALUES ($1, $2, 'open', $3, $4, 5, '', '{}')",
        *(cell.cell_id, cell.region, cell.address, cell.control_address),
    )
    await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES)
    assert [tuple(row) for row in await owner.fetch("SELECT cell_id, offer FROM directory.rooms")] == [
        ("cell-1", 1)
    ]
    await owner.close()
