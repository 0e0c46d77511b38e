"""What would keep a move from being planned keeps it from being planned; and a look at it leaves no trace."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from directory.control.contract import TableSize
from directory.rules.comparing import MOST_KEYLESS_ROWS
from directory.rules.tables import Column
from directory.values import MoveChange
from placement import surveying
from tests.directory.examples import new_tenant
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import ORDERS, FakeCell

ACME = {"tenant_id": "acme", "destination": "cell-2"}


@dataclass(frozen=True, slots=True)
class Cells:
    """Tenant acme lives in the source."""

    source: FakeCell
    destination: FakeCell


@pytest.fixture
async def cells(placement: Client, cell: FakeCell, start_cell: StartCell) -> Cells:
    """Two, open."""
    assert (await placement.create("acme")).body["cell_id"] == "cell-1"
    other = await start_cell("cell-2")
    answer = await placement("POST", "/v1/cells", other.body())
    assert answer.body["state"] == "open", answer
    return Cells(cell, other)


Refused = Callable[..., Awaitable[None]]


@pytest.fixture
def refused(placement: Client, cells: Cells, carrier: Carrier) -> Refused:
    """Asserts that a move is refused, for what a preview tells as well; and that neither leaves a trace."""

    async def seen() -> Any:
        moves = await carrier.moves.moves()
        events = [await carrier.moves.events(move.move_id) for move in moves]
        fences = [dict(each.fences) for each in (cells.source, cells.destination)]
        told = (cells.source.told, cells.destination.told)
        return moves, events, fences, told, await carrier.directory.head(), await carrier.directory.tenants()

    async def assert_refused(words: str, status: int = 409, **body: Any) -> None:
        before = await seen()
        preview = await placement("POST", "/v1/moves:preview", {**ACME, **body})
        start = await placement("POST", "/v1/moves", {**ACME, **body})
        assert (start.status, start.body["retryable"], words in start.body["message"]) == (status, False, True), (
            start
        )
        if status == 409:
            assert preview.status == 200, preview
            assert any(words in obstacle for obstacle in preview.body["obstacles"]), preview
        else:
            assert preview.body == start.body
        assert await seen() == before

    return assert_refused


async def test_a_move_of_an_unknown_tenant_is_refused(refused: Refused) -> None:
    """404, as is one to an unknown cell."""
    await refused("no tenant nobody", 404, tenant_id="nobody")
    await refused("no cell cell-9", 404, destination="cell-9")


async def test_a_move_of_a_deleted_tenant_is_refused(placement: Client, refused: Refused) -> None:
    """There is nothing of it."""
    await placement("POST", "/v1/tenants/acme:suspend")
    assert (await placement("DELETE", "/v1/tenants/acme")).status in (200, 202)
    await refused("is deleted")


async def test_a_move_to_the_same_cell_is_refused(refused: Refused) -> None:
    """It is there."""
    await refused("lives in cell cell-1 already", destination="cell-1")


async def test_a_move_to_a_full_cell_is_refused(placement: Client, refused: Refused) -> None:
    """Also when its last place is taken by nobody who moved."""
    assert (await placement("PATCH", "/v1/cells/cell-2", {"capacity_tenants": 0})).status == 200
    await refused("cell cell-2 is full")


async def test_a_move_to_a_draining_cell_is_refused(carrier: Carrier, refused: Refused) -> None:
    """As to one that is cordoned."""
    await carrier.directory.change_cell("cell-2", "cordon")
    await refused("cell cell-2 is cordoned")
    await carrier.directory.change_cell("cell-2", "drain")
    await refused("cell cell-2 is draining")


async def test_a_second_move_of_the_same_tenant_is_refused(placement: Client, refused: Refused) -> None:
    """By the first one's name."""
    name = (await placement("POST", "/v1/moves", ACME)).body["move_id"]
    await refused(f"unfinished move: {name}")


async def test_a_move_to_another_version_of_the_schema_is_refused(cells: Cells, refused: Refused) -> None:
    """With each difference; one that does no harm is none."""
    more = Column("total", "bigint", "bigint", "int8", True, True, False, False)
    cells.source.tables = [replace(ORDERS, columns=(*ORDERS.columns, more))]
    await refused("shop.orders.total: is missing at the destination")
    cells.source.tables = [ORDERS, replace(ORDERS, relation="shop.lines")]
    await refused("shop.lines: is not among the destination's tables of tenants")


async def test_what_the_destination_has_more_may_be_no_obstacle(placement: Client, cells: Cells) -> None:
    """A column that may be null: a cell of a later version takes tenants from one of before."""
    more = Column("total", "bigint", "bigint", "int8", True, True, False, False)
    cells.destination.tables = [replace(ORDERS, columns=(*ORDERS.columns, more))]
    assert (await placement("POST", "/v1/moves:preview", ACME)).body["obstacles"] == []
    assert (await placement("POST", "/v1/moves", ACME)).status == 201


@pytest.mark.parametrize("how", ["gone", "failing", "hanging"])
async def test_a_move_to_a_cell_that_is_down_is_refused(
    cells: Cells, refused: Refused, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time, and with what there is to say."""
    monkeypatch.setattr(surveying, "SCHEMA_SECONDS", 0.5)
    if how == "gone":
        await cells.destination.stop()
    else:
        cells.destination.mode = how
    await refused("bring it back, or choose another cell")
    if how == "gone":
        await cells.destination.restart()


async def test_a_tenant_may_leave_a_cell_that_does_not_answer(placement: Client, cells: Cells) -> None:
    """Movers ask its database. What it holds is not known before, and so not how long it takes."""
    await cells.source.stop()
    preview = (await placement("POST", "/v1/moves:preview", ACME)).body
    assert (preview["tables"], preview["duration_seconds"]) == ([], None)
    assert [why for why in preview["obstacles"] if "cell-1 cannot be reached" in why] == preview["obstacles"]
    assert (await placement("POST", "/v1/moves", ACME)).status == 201
    await cells.source.restart()


async def test_everything_that_is_in_the_way_is_told_at_once(placement: Client, cells: Cells) -> None:
    """Nobody mends one thing to find the next."""
    await placement("PATCH", "/v1/cells/cell-2", {"capacity_tenants": 0})
    cells.source.tables = [replace(ORDERS, key=())]
    rows = MOST_KEYLESS_ROWS + 1
    cells.source.sizes = [TableSize(relation=ORDERS.relation, rows=rows, bytes=rows * 10, estimated=True)]
    preview = (await placement("POST", "/v1/moves:preview", ACME)).body
    told = "\n".join(preview["obstacles"])
    assert [words in told for words in ("is full", "has the key ()", "200,001 rows", "primary key")] == [True] * 4
    assert (preview["estimated"], preview["tables"][0]["estimated"]) == (True, True)


async def test_a_preview_says_what_would_be_carried_and_for_how_long(
    placement: Client, cells: Cells, carrier: Carrier
) -> None:
    """By what is usual; once moves were measured, by those. No move is left behind."""
    preview = (await placement("POST", "/v1/moves:preview", ACME)).body
    assert preview == {
        **ACME,
        "source": "cell-1",
        "tables": [{"relation": "shop.orders", "rows": 3000, "bytes": 1_234_567, "estimated": False}],
        "rows": 3000,
        "bytes": 1_234_567,
        "estimated": False,
        "duration_seconds": 10.3,
        "measured_moves": 0,
        "pause_p50_ms": None,
        "pause_p99_ms": None,
        "measured_pauses": 0,
        "obstacles": [],
    }
    assert (await placement("GET", "/v1/moves")).body["moves"] == []
    await carrier.directory.create_tenant(new_tenant("bolt"), "cell-1")
    moved = (await placement("POST", "/v1/moves", {**ACME, "tenant_id": "bolt"})).body["move_id"]
    progress = {"rows_copied": 7, "bytes_copied": 90}
    await carrier.bring(moved, "REVERSIBLE", MoveChange(pause_ms=12.5, progress=progress))
    preview = (await placement("POST", "/v1/moves:preview", ACME)).body
    assert (preview["measured_moves"], preview["pause_p50_ms"], preview["pause_p99_ms"]) == (1, 12.5, 12.5)
    assert 0.3 <= preview["duration_seconds"] < 5


async def test_a_reverse_is_looked_at_before_it_is(placement: Client, cells: Cells, carrier: Carrier) -> None:
    """By its own rules: that cell takes the tenant also when it takes nobody else. The way back stays free."""
    name = (await placement("POST", "/v1/moves", ACME)).body["move_id"]
    path = f"/v1/moves/{name}:previewReverse"
    early = (await placement("POST", path, {})).body
    assert any("reverse is not possible while PLANNED" in why for why in early["obstacles"]), early
    await carrier.bring(name, "REVERSIBLE")
    await carrier.directory.change_cell("cell-1", "cordon")
    cells.destination.tenants["acme"] = cells.source.tenants["acme"]
    found = (await placement("GET", f"/v1/moves/{name}")).body
    copied = (await placement("POST", path, {})).body
    assert (copied["obstacles"], copied["source"], copied["destination"]) == ([], "cell-2", "cell-1")
    await carrier.moves.note(name, found["token"], MoveChange(progress={"way_back": "7"}))
    kept = (await placement("POST", path, {})).body
    assert (kept["rows"], kept["duration_seconds"] < copied["duration_seconds"]) == (3000, True)
    assert (await placement("GET", f"/v1/moves/{name}")).body["phase"] == "REVERSIBLE"
    assert [move["move_id"] for move in (await placement("GET", "/v1/moves")).body["moves"]] == [name]
    assert (await placement("POST", "/v1/moves/mv-nothing:previewReverse", {})).status == 404


async def test_a_cell_of_before_this_could_be_asked_is_no_reason_to_refuse(
    placement: Client, cells: Cells
) -> None:
    """Its mover compares. A preview says that it is not known what the tenant holds."""
    cells.source.is_old = cells.destination.is_old = True
    preview = (await placement("POST", "/v1/moves:preview", ACME)).body
    assert ["does not say how much" in why for why in preview["obstacles"]] == [True]
    assert (await placement("POST", "/v1/moves", ACME)).status == 201


@pytest.mark.parametrize(
    "body", [{}, {"tenant_id": "acme"}, {**ACME, "tenant_id": "No Name"}, {**ACME, "fast": 1}]
)
async def test_what_is_no_move_is_no_preview_either(shared: Client, body: object) -> None:
    """The same fields as for a move."""
    assert (await shared("POST", "/v1/moves:preview", body)).status == 400


async def test_a_preview_is_for_operators(shared: Client) -> None:
    """It tells of tenants."""
    assert (await shared("POST", "/v1/moves:preview", ACME, token="op_wrong")).status == 401
