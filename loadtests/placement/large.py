"""A large fleet as the service sees it: in its directory tenants and their loads are made as they are read."""

import asyncio
import math
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from directory.loads import MEASURED, MOST_AT_ONCE, Page, nothing_usual
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.memory_moves import MemoryMoves
from directory.memory_reservations import MemoryReservations
from directory.rules.periods import PERIODS_A_WEEK
from directory.values import Capacity, Caps, NewCell, Resident
from loadtests.placement.instances import fleet_of_cells, uneven
from placement.balancing.fleet import Fleet
from placement.balancing.resources import RESOURCES, Floats
from placement.balancing.sites import Sites
from placement.demands import Demands
from placement.errors import NotSolved
from placement.gathering import gather
from placement.planning.making import in_a_process
from placement.planning.solving import Task
from placement.planning.wishes import Wishes
from placement.reach import Reach
from placement.rooms import Rooms
from placement.rules.picturing import Wanted
from runtime.clock import SystemClock

PREFIX = "tenant-"
REVENUE, TOP_TIER = RESOURCES.index("revenue"), RESOURCES.index("top_tier")
WAVERS = 0.1
CURVE = (1.0 + 0.6 * np.sin(np.arange(PERIODS_A_WEEK) % 6 / 6 * 2 * np.pi)).astype(np.float32)
LOOKS = 50
WANTED = (
    Wanted(),
    Wanted("premium", region="region-1", revenue=100.0),
    Wanted(region="region-2", tags=("pci",)),
    Wanted(tags=("hipaa", "pci"), near=("region-4",)),
    Wanted(dedicated_to="acme"),
    Wanted(region="nowhere"),
)


class Crowd(MemoryDirectory):
    """So many tenants, of whom each page is made when it is asked for."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    async def residents(self, after: str = "", limit: int = 5000) -> Sequence[Resident]:
        fleet, some = self._fleet, _some(after, limit, len(self._fleet.tenants))
        cells = fleet.sites.names
        return [
            Resident(
                f"{PREFIX}{number:07}", cells[home], "premium" if top else "standard", "active", None, (), paid, ""
            )
            for number, home, top, paid in zip(
                range(some.start, some.stop),
                fleet.home[some].tolist(),
                fleet.demand[some, TOP_TIER].tolist(),
                fleet.demand[some, REVENUE].tolist(),
                strict=True,
            )
        ]


class Crowded(MemoryLoads):
    """What they take: by the hour, and wavering."""

    def __init__(self, directory: MemoryDirectory, fleet: Fleet) -> None:
        super().__init__(directory)
        self._fleet = fleet

    async def page(self, after: str = "", limit: int = MOST_AT_ONCE) -> Page:
        fleet, some = self._fleet, _some(after, limit, len(self._fleet.tenants))
        recent = fleet.demand[some, : len(MEASURED)]
        mean = nothing_usual(len(recent))
        mean[:] = recent[:, None, :] * CURVE[None, :, None]
        names = [f"{PREFIX}{number:07}" for number in range(some.start, some.stop)]
        return Page(names, recent, fleet.bytes[some], np.zeros(len(recent)), mean, (WAVERS * mean) ** 2, None)


def _some(after: str, limit: int, most: int) -> slice:
    first = int(after.removeprefix(PREFIX)) + 1 if after else 0
    return slice(first, min(first + limit, most))


async def _open(directory: MemoryDirectory, sites: Sites, capacity: Floats) -> None:
    for site, row in zip(sites.sites, capacity.tolist(), strict=True):
        cpus, memory, storage, network, tenants, revenue, top = row
        address = f"http://{site.cell_id}"
        await directory.register_cell(
            NewCell(
                *(site.cell_id, site.region, f"{address}:8000", f"{address}:8001", math.ceil(tenants)),
                tags=tuple(sorted(site.tags)),
                capacity=Capacity(cpus, int(memory), int(storage), network),
                caps=Caps(revenue, math.ceil(top)),
                dedicated_to=site.dedicated_to,
            )
        )
        await directory.change_cell(site.cell_id, "open")
        if site.state == "cordoned":
            await directory.change_cell(site.cell_id, "cordon")


def served(name: str, tenants: int, cells: int) -> dict[str, Any]:
    """A plan as an operator asks for one: gathered in pages, by what was measured, solved in a process of its own,
    with the reason of each move."""
    return asyncio.run(_served(name, tenants, cells))


async def _served(name: str, tenants: int, cells: int) -> dict[str, Any]:
    fleet = uneven(tenants, cells)
    directory = Crowd(fleet)
    await _open(directory, fleet.sites, fleet.capacity)
    demands = Demands(Crowded(directory, fleet))
    began = time.perf_counter()
    await demands.read()
    read = time.perf_counter()
    seen = await gather(
        directory, MemoryReservations(directory), MemoryMoves(directory), demands, SystemClock().now()
    )
    gathered = time.perf_counter()
    told: dict[str, Any] = {
        f"{name}_loads_seconds": round(read - began, 2),
        f"{name}_gather_seconds": round(gathered - read, 2),
        f"{name}_gather_gib": _gib(resource.RUSAGE_SELF),
    }
    try:
        made = await in_a_process(Task(seen, Wishes()))
    except NotSolved as error:
        return {**told, f"{name}_not_solved": str(error)}
    return {
        **told,
        f"{name}_solve_seconds": round(time.perf_counter() - gathered, 2),
        f"{name}_solve_gib": _gib(resource.RUSAGE_CHILDREN),
        f"{name}_moves": made.summary["moves"],
        f"{name}_worst_before": round(made.summary["peak_before"], 3),
        f"{name}_worst_after": round(made.summary["peak_after"], 3),
        f"{name}_remarks": made.summary["remarks"],
    }


def _gib(whose: int) -> float:
    return round(resource.getrusage(whose).ru_maxrss / 2**20, 2)


def roomy(choices: int, cells: int) -> dict[str, Any]:
    """A cell chosen as requests have it chosen: from the picture that is kept, looked at anew when it is old."""
    return asyncio.run(_roomy(choices, cells))


async def _roomy(choices: int, cells: int) -> dict[str, Any]:
    fleet, directory = fleet_of_cells(cells), MemoryDirectory()
    await _open(directory, fleet.sites, fleet.capacity)
    rooms = Rooms(MemoryReservations(directory), Demands(MemoryLoads(directory)), Reach())
    await rooms.count()
    kept, anew = list[float](), list[float]()
    for number in range(choices + LOOKS):
        is_anew = number >= choices
        if is_anew:
            rooms.outdate()
        began = time.perf_counter()
        await rooms.choose(WANTED[number % len(WANTED)])
        (anew if is_anew else kept).append(time.perf_counter() - began)
    p50, p99 = np.percentile(kept, [50, 99]) * 1000
    return {
        "rooms_p50_ms": round(p50, 3),
        "rooms_p99_ms": round(p99, 3),
        "rooms_with_a_look_p50_ms": round(float(np.median(anew)) * 1000, 3),
        "rooms_cells": cells,
    }
