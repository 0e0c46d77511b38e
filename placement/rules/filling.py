"""What the pool of each region uses and may hold, when that will be full, and why. Pure.

A pool is the open cells of a region that are dedicated to nobody. What it uses is what their tenants take, and
those of draining cells, who are on their way there: a drain makes a pool smaller, but no fuller. Tenants of
cordoned and failed cells stay where they are, and take nothing from it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from directory.uses import DayUse, PoolUse
from directory.values import Cell, CellState
from placement.balancing.fleet import Fleet
from placement.balancing.forecasting import LEAST_DAYS, Forecast, Room, Use, forecast
from placement.balancing.resources import LEVELLED, PLAIN, RESOURCES, Floats

COUNTED: frozenset[CellState] = frozenset(("open", "draining"))
"""Whose tenants live in the pool, or will."""

NEARLY = 0.9
"""Of a limit: from there on it is told that a pool fills up, though too little is known to say by when."""
SOON_DAYS = 7
"""Before the last day to begin to open a cell."""

Loads = Mapping[str, Mapping[str, float]]
"""By cell and resource: what its tenants are expected to take. Who is not in it was not measured."""
Key = tuple[str, str]
"""Region and resource."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A region's, and one resource. `used` None: nobody measures it. `counted`: cells whose tenants' use it is."""

    region: str
    resource: str
    room: Room
    cells: int
    counted: int
    used: float | None


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is to be expected of a pool's resource, and from which days that is known."""

    pool: Pool
    forecast: Forecast
    history: Sequence[DayUse]
    why: str

    @property
    def share(self) -> float:
        """Of the limit, that is used."""
        return share(self.forecast)

    @property
    def urgency(self) -> tuple[bool, float, float, float, str, str]:
        """The smaller, the sooner somebody has to do something."""
        told = self.forecast
        never = float("inf")
        return (
            told.outlook == "no_limit",
            never if told.likely is None else told.likely,
            never if told.earliest is None else told.earliest,
            -self.share,
            self.pool.region,
            self.pool.resource,
        )


def pools(cells: Sequence[Cell], loads: Loads, known: Collection[Key] = ()) -> Iterator[Pool]:
    """One for each region and each resource that something is known of; numbers of tenants always are.

    `known`: of which something was kept.
    """
    by_region: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.state in COUNTED and not cell.dedicated_to:
            by_region.setdefault(cell.region, []).append(cell)
    for region, counted in sorted(by_region.items()):
        inside = [cell for cell in counted if cell.state == "open"]
        for resource in LEVELLED:
            sizes = np.array([size(cell, resource) for cell in inside], dtype=float)
            used = _used(counted, resource, loads)
            if used is not None or (region, resource) in known or np.isfinite(sizes).any():
                yield Pool(region, resource, Room(sizes, _spared(resource)), len(inside), len(counted), used)


def by_cell(fleet: Fleet) -> Loads:
    """What the tenants of each cell take; of what varies over the week: when they take the most.

    Nobody, when nobody was ever measured: what plans let expect would count tenants in other units.
    """
    if len(fleet.unmeasured) == len(fleet.tenants):
        return {}
    load, columns = fleet.loads(fleet.home), fleet.columns
    most = {
        name: load[:, columns.resource == RESOURCES.index(name)].max(axis=1)
        for name in LEVELLED
        if name != "tenants"
    }
    return {
        cell: {name: float(taken[number]) for name, taken in most.items()}
        for number, cell in enumerate(fleet.sites.names)
    }


def size(cell: Cell, resource: str) -> float:
    """What a cell holds of it; inf: as much as comes."""
    told = {
        "cpu": cell.capacity.cpus,
        "memory": cell.capacity.memory_bytes,
        "storage": cell.capacity.storage_bytes,
        "network": cell.capacity.network_bits,
        "tenants": cell.capacity_tenants,
    }[resource]
    return float("inf") if told is None else float(told)


def told(pool: Pool, used: float) -> PoolUse:
    """As it is kept."""
    limit = pool.room.limit
    return PoolUse(pool.region, pool.resource, used, limit if np.isfinite(limit) else None, pool.counted)


def foretell(pool: Pool, history: Sequence[DayUse], today: int, lead_days: int) -> Foretold:
    """From the kept days of this pool and resource, the oldest first; what it uses now is the last one's word."""
    days = [(one.day.toordinal(), one.use.used, one.use.cells) for one in history]
    if pool.used is not None:
        days = [*(one for one in days if one[0] != today), (today, pool.used, pool.counted)]
    use = Use(
        np.array([day for day, _, _ in days], dtype=np.int64),
        _floats(used for _, used, _ in days),
        np.array([cells for _, _, cells in days], dtype=np.int64),
    )
    found = forecast(use, pool.room, today, lead_days)
    return Foretold(pool, found, history, why(found))


def is_due(found: Foretold, today: int) -> bool:
    """Whether somebody has to do something about it now or within a week, so that it does not become full."""
    told = found.forecast
    if told.outlook == "too_little_known":
        return found.share >= NEARLY
    return told.open_by is not None and told.open_by - today <= SOON_DAYS


def share(found: Forecast) -> float:
    """Of the limit, that is used; 0 when there is none, and 1 of no room at all."""
    if not np.isfinite(found.limit):
        return 0.0
    return found.used / found.limit if found.limit > 0 else 1.0


def why(found: Forecast) -> str:
    """In words, without units: what the forecast rests on."""
    known = f"{found.days_known} {'day' if found.days_known == 1 else 'days'}"
    match found.outlook:
        case "no_limit":
            return "not every cell of the pool says how much it holds"
        case "too_little_known":
            return f"use is known of {known}, and {LEAST_DAYS} are needed"
        case "full" if found.limit <= 0:
            return "the pool has no room at all"
        case _:
            used = f"{100 * share(found):.0f} % of the limit is used"
            return f"{used}{_grows(found)}" if found.per_week is not None else used


def _grows(found: Forecast) -> str:
    weekly = 100 * (found.per_week or 0.0) / found.limit
    if abs(weekly) < 0.05:
        return f", and that does not change, by the last {found.days_known} days"
    more = "more" if weekly > 0 else "less"
    return f", and each week {abs(weekly):.1f} % of it {more}, by the last {found.days_known} days"


def _used(cells: Sequence[Cell], resource: str, loads: Loads) -> float | None:
    if resource == "tenants":
        return float(sum(cell.tenants for cell in cells))
    known = [loads[cell.cell_id][resource] for cell in cells if resource in loads.get(cell.cell_id, {})]
    return sum(known) if known else None


def _spared(resource: str) -> bool:
    return bool(PLAIN.spared[PLAIN.names.index(resource)])


def _floats(numbers: Iterator[float]) -> Floats:
    return np.fromiter(numbers, dtype=np.float64)
