"""Cells prove who they are before they take tenants."""

import asyncio
from typing import Any

import pytest

from directory.control.client import CellControl
from directory.memory import MemoryDirectory
from directory.memory_audit import MemoryAudit
from directory.memory_loads import MemoryLoads
from directory.memory_reservations import MemoryReservations
from placement.auditing import Audit
from placement.cells import Cells
from placement.demands import Demands
from placement.reach import Reach
from placement.rooms import Rooms
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import CONTROL_KEY, FakeCell
from tests.waiting import eventually


async def test_a_cell_that_proves_itself_is_open_at_once(placement: Client, start_cell: StartCell) -> None:
    """The proof is its own name under its own token; its version is taken from it."""
    made = await start_cell()
    answer = await placement("POST", "/v1/cells", made.body())
    assert (answer.status, answer.body["state"], answer.body["remark"]) == (201, "open", None)
    assert answer.body["version"] == "1.2.3"


async def test_a_cell_that_is_not_there_yet_joins_and_is_opened_later(
    placement: Client, start_cell: StartCell
) -> None:
    """Nobody has to register it again."""
    made = await start_cell()
    made.mode = "failing"
    answer = await placement("POST", "/v1/cells", made.body())
    assert (answer.status, answer.body["state"]) == (201, "joining")
    assert "500" in answer.body["remark"]
    waiting = await placement.create("acme")
    assert (waiting.status, waiting.body["retryable"]) == (503, True)
    made.mode = "well"

    async def opened() -> bool:
        return bool((await placement("GET", "/v1/cells/cell-1")).body["state"] == "open")

    await eventually(opened)


async def test_somebody_else_at_a_cells_address_is_not_opened(placement: Client, start_cell: StartCell) -> None:
    """A mistaken address must not send tenants to another cell."""
    made = await start_cell("cell-1")
    body = {**made.body(), "cell_id": "cell-2"}
    answer = await placement("POST", "/v1/cells", body)
    assert answer.body["state"] == "joining"
    assert "control token" in answer.body["remark"]
    opened = await placement("POST", "/v1/cells/cell-2:open")
    assert (opened.status, opened.body["code"]) == (409, "FAILED_PRECONDITION")


async def test_a_cell_of_another_region_is_not_opened(placement: Client, start_cell: StartCell) -> None:
    """Residency rests on it."""
    made = await start_cell("cell-1", "us")
    answer = await placement("POST", "/v1/cells", {**made.body(), "region": "eu"})
    assert "in region us" in answer.body["remark"]


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254",
        "http://[fe80::1]:80",
        "http://0.0.0.0:80",
        "ftp://127.0.0.1",
        "http://user:password@127.0.0.1",
        "http://127.0.0.1:80/path",
        "not an address",
        "http://127.0.0.1:99999",
    ],
)
async def test_addresses_that_may_not_be_connected_to_are_refused(shared: Client, address: str) -> None:
    """A registration must not lead the control plane to a metadata service or a neighbour."""
    good: dict[str, Any] = {"cell_id": "cell-1", "region": "eu", "capacity_tenants": 1}
    for field in ("address", "control_address"):
        body = {**good, "address": "http://127.0.0.1:1", "control_address": "http://127.0.0.1:1", field: address}
        answer = await shared("POST", "/v1/cells", body)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
    assert (await shared("GET", "/v1/cells")).body["cells"] == []


async def test_a_cell_that_answers_with_a_redirect_is_not_followed(
    placement: Client, start_cell: StartCell
) -> None:
    """Its address was checked, and that of where it sends us was not; it stays as it registered."""
    made, lured = await start_cell("cell-1"), await start_cell("cell-2")
    made.mode, made.elsewhere = "redirecting", lured.url
    answer = await placement("POST", "/v1/cells", made.body())
    assert (answer.status, answer.body["state"]) == (201, "joining")
    assert "302" in answer.body["remark"]
    made.called.clear()
    await eventually(made.called.is_set)  # placement looks again by itself
    assert (await placement("GET", "/v1/cells/cell-1")).body["state"] == "joining"
    assert (await placement.create("acme")).status == 503
    assert not lured.called.is_set()


async def test_a_cell_is_changed_field_by_field(placement: Client, cell: FakeCell) -> None:
    """What is absent stays."""
    answer = await placement("PATCH", "/v1/cells/cell-1", {"capacity_tenants": 7, "tags": ["ssd"]})
    assert (answer.status, answer.body["capacity_tenants"], answer.body["tags"]) == (200, 7, ["ssd"])
    assert answer.body["control_address"] == cell.url
    assert (await placement("PATCH", "/v1/cells/cell-9", {"capacity_tenants": 7})).status == 404


async def test_a_cells_address_is_not_changed_to_somebody_elses(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """The new address is asked who it is; one that is silent is taken, because cells come back elsewhere."""
    other = await start_cell("cell-2")
    answer = await placement("PATCH", "/v1/cells/cell-1", {"control_address": other.url})
    assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")
    silent = await placement("PATCH", "/v1/cells/cell-1", {"control_address": "http://127.0.0.1:1"})
    assert silent.status == 200


async def test_cells_are_cordoned_and_opened_again(placement: Client, cell: FakeCell) -> None:
    """A cordoned cell keeps its tenants and takes no new ones; repeating changes nothing."""
    await placement.create("acme")
    for _ in range(2):
        assert (await placement("POST", "/v1/cells/cell-1:cordon")).body["state"] == "cordoned"
    assert (await placement.create("late")).status == 429
    assert (await placement("POST", "/v1/tenants/acme:suspend")).status == 200
    for _ in range(2):
        assert (await placement("POST", "/v1/cells/cell-1:open")).body["state"] == "open"
    assert (await placement.create("later")).status == 201


async def test_a_cordon_is_not_undone_by_a_proof_that_was_on_its_way(start_cell: StartCell) -> None:
    """The round that opens joining cells looked, asked, and was answered late; meanwhile an operator decided."""
    made, truth, control = await start_cell(), MemoryDirectory(), CellControl(CONTROL_KEY)
    rooms = Rooms(MemoryReservations(truth), Demands(MemoryLoads(truth)), Reach())
    cells = Cells(truth, control, Reach(), rooms, Audit(MemoryAudit(truth)))
    await truth.register_cell(made.new())
    made.may_prove_itself.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(cells.open_joining())
        await made.called.wait()
        await truth.change_cell("cell-1", "open")
        await truth.change_cell("cell-1", "cordon")
        made.may_prove_itself.set()
    assert (await truth.cell("cell-1")).state == "cordoned"
    await control.close()


async def test_a_name_registers_once(placement: Client, cell: FakeCell) -> None:
    """Whoever comes back changes the cell instead."""
    answer = await placement("POST", "/v1/cells", cell.body())
    assert (answer.status, answer.body["code"]) == (409, "ALREADY_EXISTS")


async def test_a_cell_that_falls_silent_gets_no_new_tenants_while_others_answer(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """Found out by the first that fails, or by looking around."""
    other = await start_cell("cell-2")
    await placement("POST", "/v1/cells", other.body(capacity_tenants=10))
    cell.mode = "failing"
    failed = await placement.create("first")
    assert (failed.status, failed.body["metadata"]["cell_id"]) == (503, "cell-1")
    assert (await placement.create("second")).body["cell_id"] == "cell-2"
