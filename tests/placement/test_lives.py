"""The lives of cells: drained, taken for lost, brought back, retired; and what operators are told on the way."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from directory.control.contract import Check
from directory.memory import MemoryDirectory
from directory.memory_registry import MemoryRegistry
from directory.registry import Instance
from directory.values import Cell, Move, MoveOptions, MovePhase
from placement.checks import witnesses as seen
from placement.reach import Reach
from placement.rules.recovering import advice, lost, steps
from placement.witnesses import Witnesses
from runtime.clock import ManualClock
from runtime.health import Unhealthy
from tests.directory.examples import open_cell
from tests.directory.moving import PHASES
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.carrying import two_cells as two_cells
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import FakeCell

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HERE = "http://127.0.0.1:1"
CELL = Cell("cell-1", "eu", "failed", HERE, HERE, 10, 3, "1", (), NOON, NOON)
MOVE = Move(
    *("mv-1", "acme", "cell-1", "cell-2", "PLANNED", False, "run", 0, "", 1, {}, MoveOptions(), {}, {}, None),
    *("", "", None, NOON, NOON, None),
)


async def test_a_drain_is_begun_and_called_off(placement: Client, cell: FakeCell) -> None:
    """Only the state: nobody is placed there, and whoever leads moves those who are there away."""
    await placement.create("acme")
    for _ in range(2):
        assert (await placement("POST", "/v1/cells/cell-1:drain")).body["state"] == "draining"
    assert (await placement.create("late")).status == 429
    assert (await placement("GET", "/v1/tenants/acme")).body["cell_id"] == "cell-1"
    assert (await placement("POST", "/v1/cells/cell-1:cordon")).body["state"] == "cordoned"
    assert (await placement("POST", "/v1/cells/cell-1:drain")).body["state"] == "draining"
    assert (await placement("POST", "/v1/cells/cell-1:open")).body["state"] == "open"


async def test_a_lost_cell_is_given_up_for_now_and_comes_back(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """It gets nothing new, its tenants stay, and the answer says what to do; back, it proves itself again."""
    for name in ("acme", "bolt"):
        await placement.create(name)
    other = await start_cell("cell-2")
    await placement("POST", "/v1/cells", other.body())
    cell.mode = "failing"
    failed = await placement("POST", "/v1/cells/cell-1:fail")
    assert (failed.status, failed.body["state"], failed.body["tenants"]) == (200, "failed", 2)
    told = failed.body["recovery"]
    assert (told["tenants"], told["first_tenants"], told["moves"]) == (2, ["acme", "bolt"], [])
    assert "all that its tenants (2) wrote since its last backup" in told["lost"]
    assert any("cellway cells cordon cell-1" in step for step in told["steps"])
    assert (await placement.create("late")).body["cell_id"] == "cell-2"
    assert (await placement("GET", "/v1/tenants/acme")).body["cell_id"] == "cell-1"
    refused = await placement("POST", "/v1/moves", {"tenant_id": "late", "destination": "cell-1"})
    assert (refused.status, "is failed" in refused.body["message"]) == (409, True)
    for verb in ("drain", "retire"):
        assert (await placement("POST", f"/v1/cells/cell-1:{verb}")).status == 409
    assert (await placement("POST", "/v1/cells/cell-1:open")).status in (409, 503)
    assert (await placement("GET", "/v1/cells/cell-1/recovery")).body["health"]["verdict"] == "doubtful"
    cell.mode = "well"
    assert (await placement("POST", "/v1/cells/cell-1:cordon")).body["state"] == "cordoned"
    assert (await placement("POST", "/v1/cells/cell-1:open")).body["state"] == "open"
    assert (await placement("POST", "/v1/tenants/acme:suspend")).body["settled"] is True


@pytest.mark.usefixtures("two_cells")
async def test_unfinished_moves_are_told_with_what_to_do(placement: Client, carrier: Carrier) -> None:
    """From the side of the cell that is asked about."""
    move = (await placement("POST", "/v1/moves", {"tenant_id": "acme", "destination": "cell-2"})).body
    [leaving] = (await placement("POST", "/v1/cells/cell-1:fail")).body["recovery"]["moves"]
    assert (leaving["move_id"], leaving["direction"], leaving["other_cell"]) == (
        move["move_id"],
        "leaves",
        "cell-2",
    )
    assert leaving["commands"] == [f"cellway moves cancel {move['move_id']}"]
    [arriving] = (await placement("GET", "/v1/cells/cell-2/recovery")).body["moves"]
    assert (arriving["direction"], "is served there: nothing is lost" in arriving["text"]) == ("arrives", True)
    assert (await placement("GET", "/v1/cells/cell-9/recovery")).status == 404


async def test_a_cell_is_retired_when_empty_and_its_name_stays_taken(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """An open one is not; one that never joined is."""
    assert (await placement("POST", "/v1/cells/cell-1:retire")).status == 409
    waiting = {**cell.body(), "cell_id": "cell-2"}
    assert (await placement("POST", "/v1/cells", waiting)).body["state"] == "joining"
    for _ in range(2):
        assert (await placement("POST", "/v1/cells/cell-2:retire")).body["state"] == "retired"
    again = await placement("POST", "/v1/cells", waiting)
    assert (again.status, "is not used again" in again.body["message"]) == (409, True)
    assert (await placement("POST", "/v1/cells/cell-2:open")).status == 409


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase not in ("DONE", "ABORTED", "REVERSED")])
def test_there_is_something_to_say_about_every_unfinished_move(phase: MovePhase) -> None:
    """Where the tenant lives is told as the move's table has it; nobody is told to cancel what is committed."""
    committed = phase in ("COMMITTED", "ACTIVATED", "DRAINING", "REVERSIBLE", "CLEANING")
    for cell_id, lives_here in (("cell-1", not committed), ("cell-2", committed)):
        told = advice(replace(MOVE, phase=phase), cell_id)
        if phase != "REVERSING":
            where = "here" if lives_here else "in cell-1" if cell_id == "cell-2" else "in cell-2"
            assert f"lives {where}" in told.text
        assert not (committed and any("cancel" in command for command in told.commands))


def test_a_last_copy_is_kept_by_pausing() -> None:
    """A paused move does not clean up the rows that its source still has."""
    moved = advice(replace(MOVE, phase="REVERSIBLE"), "cell-2")
    assert moved.commands == ("cellway moves pause mv-1",)
    assert "of 1 the cell that they left still has the rows" in lost(CELL, [moved])
    assert lost(replace(CELL, tenants=0), [moved]).startswith("nothing: nobody lives there; but moves")
    assert lost(replace(CELL, tenants=0), []) == "nothing: nobody lives there"
    assert steps(replace(CELL, state="retired")) == ()
    assert len(steps(CELL)) > len(steps(replace(CELL, state="open")))


async def _checks(witnesses: Witnesses, truth: MemoryDirectory) -> Check:
    [check] = await seen.well(truth, witnesses)
    return check


async def test_a_cell_that_all_believe_dead_is_told_and_nothing_is_done() -> None:
    """Doctor and health page name it, with what an operator can do; its state stays."""
    clock, registry, truth = ManualClock(), MemoryRegistry(), MemoryDirectory()
    reach = Reach(clock)
    witnesses = Witnesses(registry, reach, clock)
    for name in ("cell-1", "cell-2"):
        await open_cell(truth, name)
    reach.answered("cell-1")
    for name in ("cell-1", "cell-2"):
        await registry.announce(Instance("cell", f"api of {name}", "h", 1, 2, {"cell": name}))
    await witnesses.cells.step()
    assert await seen.check(truth, witnesses) == "none of 2 is believed dead"
    assert witnesses.last_seen("cell-1").seen == clock.now() == witnesses.last_seen("cell-1").answered
    assert witnesses.last_seen("cell-2").answered is None
    reach.failed("cell-1", "no answer")
    assert not (await _checks(witnesses, truth)).ok
    assert await seen.check(truth, witnesses) == "none of 2 is believed dead"
    await registry.announce(Instance("router", "router-1", "h", 1, 2, suspects=("cell-1",)))
    await witnesses.routers.step()
    with pytest.raises(Unhealthy, match=r"cell-1 is down: .* cellway cells fail cell-1"):
        await seen.check(truth, witnesses)
    told = await _checks(witnesses, truth)
    assert (told.ok, "cell-1 is down" in told.detail) == (False, True)
    assert "cellway cells fail cell-1" in told.remedy
    assert (await truth.cell("cell-1")).state == "open"
    await truth.change_cell("cell-1", "fail")
    assert await seen.check(truth, witnesses) == "none of 1 is believed dead"
    assert (await _checks(witnesses, truth)).detail == "nothing speaks against any of 1"
    await registry.withdraw(Instance("router", "router-1", "h", 1, 2, suspects=("cell-1",)))
    await witnesses.routers.step()
    reach.answered("cell-1")
    assert "answers again: cellway cells cordon cell-1" in (await _checks(witnesses, truth)).detail
    await witnesses.close()


async def test_the_health_page_shows_cells_and_stays_ready(placement: Client, cell: FakeCell) -> None:
    """A dead cell is no reason to do without placement."""
    ready = await placement("GET", f"{placement.admin_url}/health/ready")
    assert ready.status == 200
    [check] = [check for check in ready.body["checks"] if check["name"] == "cells"]
    assert (check["required"], check["detail"]) == (False, "none of 1 is believed dead")
