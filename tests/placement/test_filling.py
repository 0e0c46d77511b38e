"""What pools use and may hold, of cells and fleets as they are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from directory.loads import nothing_usual
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.memory_moves import MemoryMoves
from directory.memory_reservations import MemoryReservations
from directory.rules.periods import period_of
from directory.values import Capacity, NewCell
from placement.balancing.demand import NIGHTS, TIMES, prior
from placement.balancing.resources import RESOURCES, columns
from placement.balancing.sites import Site
from placement.demands import Demands
from placement.forecasts import GatheredLoads
from placement.gathering import Demand
from placement.rules.filling import by_cell, pools
from tests.directory.examples import new_tenant
from tests.directory.test_loads import reading
from tests.placement.balancing.fleets import fleet
from tests.placement.test_demands import MONDAY

WIDE = columns(TIMES)
AT = "http://127.0.0.1:9000"


async def _directory() -> MemoryDirectory:
    """Two open cells, of which one says how much it holds; two tenants in the first, one in the second."""
    directory = MemoryDirectory()
    for name, capacity in (("cell-1", Capacity(storage_bytes=1000)), ("cell-2", Capacity())):
        await directory.register_cell(NewCell(name, "eu", AT, AT, 10, capacity=capacity))
        await directory.change_cell(name, "prove")
    for tenant, cell in (("acme", "cell-1"), ("bolt", "cell-1"), ("cord", "cell-2")):
        await directory.create_tenant(new_tenant(tenant), cell)
    return directory


class Tenfold:
    """Every tenant that was measured takes ten of everything, by day and by night."""

    def __init__(self, measured: Sequence[str]) -> None:
        self.measured = measured

    async def demand(self, tenants: Sequence[str], plans: Sequence[str], now: datetime) -> Demand:
        known = np.isin(np.array(tenants), self.measured)
        expected = np.where(known[:, None], 10.0, 1.0) * np.ones(len(WIDE))
        return Demand(expected, np.ones(len(tenants)), known)


async def test_what_a_cells_tenants_take_is_added_up() -> None:
    """A tenant that was not measured yet counts as its plan lets expect."""
    directory = await _directory()
    loads = GatheredLoads(
        directory, MemoryReservations(directory), MemoryMoves(directory), Tenfold(["acme", "cord"])
    )
    found = await loads.by_cell()
    assert {cell: taken["storage"] for cell, taken in found.items()} == {"cell-1": 11, "cell-2": 10}
    assert set(found["cell-1"]) == {"cpu", "memory", "storage", "network"}


async def test_what_cells_measured_is_told_once_a_part_of_the_week_has_ended() -> None:
    """By the loads that the directory keeps."""
    directory = await _directory()
    loads = MemoryLoads(directory)
    told = GatheredLoads(
        directory, MemoryReservations(directory), MemoryMoves(directory), Demands(loads, fresh_seconds=0)
    )
    for seconds in (0, 60):
        await loads.measure(reading(seconds, storage_bytes=8e9), MONDAY)
    assert await told.by_cell() == {}
    period = period_of(MONDAY) + 1
    ended = await loads.ended(period)
    usual = nothing_usual(len(ended.tenants))
    usual[:] = [0.5, 1e8, 8e9, 1e6]
    assert await loads.close(ended, usual, np.zeros_like(usual), period) == 1
    found = await told.by_cell()
    assert found["cell-1"]["storage"] == pytest.approx(8e9 + prior("standard")[2])
    assert found["cell-2"]["storage"] == pytest.approx(prior("standard")[2])


async def test_before_anything_was_measured_nothing_is_told() -> None:
    """What plans let expect are numbers of tenants in other units, and would jump when they are measured."""
    for directory in (await _directory(), MemoryDirectory()):
        told = GatheredLoads(
            directory, MemoryReservations(directory), MemoryMoves(directory), Demands(MemoryLoads(directory))
        )
        assert await told.by_cell() == {}


def test_of_what_varies_the_busiest_time_counts() -> None:
    """A cell that is full on nights is full."""
    demand = np.ones((2, len(WIDE)))
    demand[0, WIDE.names.index(f"cpu {NIGHTS}")] = 7
    made = fleet([Site("cell-1", "eu"), Site("cell-2", "eu")], np.full((2, len(WIDE)), 10.0), demand, [0, 1],
                 columns=WIDE)  # fmt: skip
    found = by_cell(made)
    assert [found[cell]["cpu"] for cell in ("cell-1", "cell-2")] == [7, 1]
    assert by_cell(replace(made, unmeasured=made.tenants)) == {}


async def test_a_resource_of_which_nothing_is_known_is_not_told() -> None:
    """Where one cell says how much it holds, or use was kept, it is; without all of them there is no limit."""
    cells = await (await _directory()).cells()
    found = {pool.resource: pool for pool in pools(cells, {})}
    assert set(found) == {"storage", "tenants"}
    assert (found["tenants"].used, found["tenants"].room.limit, found["tenants"].cells) == (3, 20, 2)
    assert (found["storage"].used, found["storage"].room.limit) == (None, np.inf)
    known = {pool.resource for pool in pools(cells, {}, {("eu", "cpu"), ("us", "memory")})}
    assert known == {"cpu", "storage", "tenants"}


@pytest.mark.parametrize(("spared", "limit"), [("storage", 1000), ("tenants", 20)])
async def test_the_largest_cell_can_be_lost_but_a_number_of_tenants_is_a_number(spared: str, limit: float) -> None:
    """As plans are made with."""
    directory = await _directory()
    [first, second] = await directory.cells()
    cells = [first, replace(second, capacity=Capacity(storage_bytes=3000))]
    found = {pool.resource: pool.room.limit for pool in pools(cells, {})}
    assert spared in RESOURCES
    assert found[spared] == limit
