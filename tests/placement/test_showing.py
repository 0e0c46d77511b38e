"""The metrics page shows cells, moves and plans as they are, and nothing of those that are no more."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from directory.memory import MemoryDirectory
from directory.memory_moves import MemoryMoves
from directory.memory_plans import MemoryPlans
from directory.memory_registry import MemoryRegistry
from directory.values import MoveOptions, NewMove
from placement import metrics
from placement.reach import Reach
from placement.showing import Showing
from placement.witnesses import Witnesses
from runtime.clock import ManualClock
from tests.directory.examples import new_tenant, open_cell


@pytest.fixture(autouse=True)
def empty_page() -> Iterator[None]:
    """The page is the process's: others of its tests show cells too."""
    yield
    for gauge in (metrics.CELL_STANDING, metrics.CELL_TENANTS, metrics.CELL_CAPACITY, metrics.UNFINISHED_PLANS):
        gauge.clear()


def shown(name: str, **labels: str) -> float | None:
    """What a scrape would read; None: there is no such series."""
    return REGISTRY.get_sample_value(f"cellway_placement_{name}", labels)


async def test_cells_are_shown_by_name_and_moves_by_phase() -> None:
    """A tenant's name is on no page; how long the oldest waits is, unless an operator has it wait."""
    clock = ManualClock()
    directory, reach = MemoryDirectory(clock), Reach(clock)
    moves = MemoryMoves(directory)
    for number in (1, 2):
        await open_cell(directory, f"cell-{number}", 10)
    for tenant_id in ("acme", "bolt"):
        await directory.create_tenant(new_tenant(tenant_id), "cell-1")
    showing = Showing(
        directory, moves, MemoryPlans(directory, moves), Witnesses(MemoryRegistry(), reach, clock), clock
    )
    await moves.plan(NewMove("acme", "cell-2"))
    clock.advance(90.0)
    held = await moves.plan(NewMove("bolt", "cell-2", MoveOptions(hold=True)))
    await moves.ask(held.move_id, "pause")
    reach.failed("cell-2", "no answer")
    await showing.look()
    assert (shown("cell_tenants", cell="cell-1"), shown("cell_tenants", cell="cell-2")) == (2, 0)
    assert shown("cell_capacity_tenants", cell="cell-1") == 10
    assert (shown("cell_standing", cell="cell-1"), shown("cell_standing", cell="cell-2")) == (0, 1)
    assert (shown("cells", state="open"), shown("cells", state="failed")) == (2, 0)
    assert (shown("moves", phase="PLANNED"), shown("moves", phase="COPYING")) == (2, 0)
    assert shown("move_oldest_seconds", phase="PLANNED") == 90
    assert shown("moves_obstructed") == 0
    assert shown("moves", phase="DONE") is None
    assert shown("recorded_change") == await directory.head()


async def test_what_is_no_more_is_not_shown() -> None:
    """A retired cell would be an alert for ever, and a plan that ended one that is stuck."""
    directory = MemoryDirectory()
    moves = MemoryMoves(directory)
    showing = Showing(directory, moves, MemoryPlans(directory, moves), Witnesses(MemoryRegistry(), Reach()))
    await open_cell(directory, "cell-1", 10)
    await showing.look()
    assert shown("cell_standing", cell="cell-1") == 0
    for event in ("drain", "empty", "retire"):
        await directory.change_cell("cell-1", event)
    await showing.look()
    assert shown("cell_standing", cell="cell-1") is shown("cell_capacity_tenants", cell="cell-1") is None
    assert shown("cells", state="retired") == 1
