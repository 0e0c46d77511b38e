"""What all cells are like, for choosing one: rooms as the directory tells them, and what tenants take. Pure.

    taken = counted + placed since the count + reserved + what moves take at their other end

Who begins to move counts as placed in its destination, and from the next count on as a move.

What may be promised in a cell follows from that: as much more than it has promised by now as it has limits left.
The directory compares that under the cell's lock, so a picture may be old without harm.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from directory.reservations import Booking, Room, Takes, Tally
from directory.rules.plans import PLANS, plan_of
from directory.rules.reservations import NOTHING
from directory.values import Cell, MovePhase
from placement.balancing.choosing import Candidate, Cells
from placement.balancing.demand import TIMES, prior
from placement.balancing.resources import LEVELLED, RESOURCES, TENANTS, Floats, columns
from placement.balancing.sites import Needs, Site, Sites

WIDE = len(RESOURCES)
MEASURED = len(LEVELLED) - 1
"""What is measured comes first; tenants, revenue and top tier are counted."""
REVENUE, TOP_TIER = RESOURCES.index("revenue"), RESOURCES.index("top_tier")
STORAGE = RESOURCES.index("storage")
TOP_RANK = max(plan.rank for plan in PLANS.values())
SLACK = 1e-9
"""Sums of the same numbers in another order differ by so much of them."""
WHOLE = (TENANTS, TOP_TIER)
"""What is counted, and does not differ."""
WAITING: frozenset[MovePhase] = frozenset(("REVERSING",))
"""Another move takes its way back, and is counted itself."""
LEFT: frozenset[MovePhase] = frozenset(("DRAINING", "REVERSIBLE", "CLEANING"))
"""The tenant works in the destination; what it has stored in the source is still there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tenant as a cell is chosen for it. `region` is where it must be, `near` where it would like to be."""

    plan: str = "standard"
    region: str | None = None
    near: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    revenue: float = 0.0
    dedicated_to: str = ""

    def candidate(self) -> Candidate:
        """As `balancing.choosing` takes it."""
        regions = frozenset() if self.region is None else frozenset((self.region,))
        needs = Needs(regions, frozenset(self.tags), self.dedicated_to)
        return Candidate(needs, demand_of(self.plan, self.revenue), self.near)

    def takes(self) -> Takes:
        """As the directory keeps it."""
        return tuple(demand_of(self.plan, self.revenue).tolist())


@dataclass(frozen=True)
class Counted:
    """What the tenants of each cell were expected to take, by the last count; and what was placed until then."""

    load: Mapping[str, Floats] = field(default_factory=dict)
    elsewhere: Mapping[str, Floats] = field(default_factory=dict)
    """What tenants take in cells that they move to, or have left and can return to."""
    placed: Mapping[str, Takes] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """All cells as of one moment. Rows are cells in the order of their names."""

    cells: Cells
    promised: Floats
    offers: Sequence[int]

    @cached_property
    def most(self) -> Floats:
        """What each may have promised at most, with another tenant."""
        limits = self.cells.limits
        slack = SLACK * (self.promised + np.where(np.isfinite(limits), limits, 0.0))
        slack[:, WHOLE] = 0.5
        return self.promised + (limits - self.cells.used) + slack

    def expecting(self, more: Floats, silent: Collection[str]) -> Cells:
        """The cells with so much more on its way."""
        is_silent = np.array([name in silent for name in self.cells.sites.names], dtype=np.bool_)
        return self.cells.but(self.cells.coming + more, is_silent)

    def booking(self, cell_id: str, takes: Takes) -> Booking:
        """Room in a cell, as the directory is asked for it."""
        at = self.cells.sites.names.index(cell_id)
        return Booking(takes, tuple(self.most[at].tolist()), self.offers[at])


def picture(rooms: Sequence[Room], counted: Counted) -> Picture:
    """Rooms as they are now, with the last count of loads. Who is silent is not told by them."""
    cells = [room.cell for room in rooms]
    names = [cell.cell_id for cell in cells]
    since = _rows([room.placed for room in rooms]) - _rows([counted.placed.get(name, NOTHING) for name in names])
    load = _rows([counted.load.get(name, NOTHING) for name in names]) + np.maximum(since, 0.0)
    # Who has left since the count leaves room at once; who was placed since is in both numbers, and added once.
    places = np.minimum([counted.load.get(name, NOTHING)[TENANTS] for name in names], [c.tenants for c in cells])
    load[:, TENANTS] = places + np.maximum(since[:, TENANTS], 0.0)
    elsewhere = _rows([counted.elsewhere.get(name, NOTHING) for name in names])
    return Picture(
        Cells(
            Sites([site_of(cell) for cell in cells]),
            _rows([capacity_of(cell) for cell in cells]),
            load,
            _rows([room.reserved for room in rooms]) + elsewhere,
            np.zeros(len(cells), dtype=np.bool_),
        ),
        _rows([room.promised for room in rooms]),
        tuple(room.offer for room in rooms),
    )


def _rows(rows: Sequence[Sequence[float] | Floats]) -> Floats:
    return np.array(rows, dtype=float).reshape(len(rows), WIDE)


def site_of(cell: Cell) -> Site:
    """What the hard rules ask of it."""
    return Site(cell.cell_id, cell.region, cell.state, frozenset(cell.tags), cell.dedicated_to)


def capacity_of(cell: Cell) -> Takes:
    """RESOURCES; inf where nothing is known."""
    holds, caps = cell.capacity, cell.caps
    known = (
        *(holds.cpus, holds.memory_bytes, holds.storage_bytes, holds.network_bits),
        *(cell.capacity_tenants, caps.revenue, caps.top_tier),
    )
    return tuple(math.inf if each is None else float(each) for each in known)


def demand_of(plan: str, revenue: float) -> Floats:
    """What a tenant that was never measured is reckoned with."""
    found = prior(plan)
    found[REVENUE], found[TOP_TIER] = revenue, float(is_top(plan))
    return found


def is_top(plan: str) -> bool:
    """Whether it is a plan of the highest rank."""
    return plan_of(plan).rank == TOP_RANK


def count(tally: Tally, measured: Mapping[str, Floats] | None, moving: Mapping[str, Floats]) -> Counted:
    """What was counted. `measured`: by cell what its tenants take of what is measured; None: nobody knows, and
    their plans say. `moving`: the same of tenants that move, by tenant, of those of whom it is known."""
    load: dict[str, Floats] = {}
    for each in tally.inhabitants:
        of_cell = load.setdefault(each.cell_id, np.zeros(WIDE))
        of_cell += each.tenants * demand_of(each.plan, 0.0)
        of_cell[REVENUE] += each.revenue
    for cell_id, takes in (measured or {}).items():
        load.setdefault(cell_id, np.zeros(WIDE))[:MEASURED] = takes
    elsewhere: dict[str, Floats] = {}
    for passage in tally.passages:
        takes = demand_of(passage.plan, passage.revenue)
        takes[:MEASURED] = moving.get(passage.tenant_id, takes[:MEASURED])
        if passage.phase in LEFT:
            takes = np.where(np.arange(WIDE) == STORAGE, takes, 0.0)
        for end in {passage.source, passage.destination} - {passage.home}:
            if passage.phase not in WAITING:
                elsewhere.setdefault(end, np.zeros(WIDE))
                elsewhere[end] += takes
    return Counted(load, elsewhere, tally.placed)


def at_its_height(expected: Floats) -> Floats:
    """rows × MEASURED, from rows × columns(TIMES): of what varies with the hour, as much as at the busiest one."""
    resource = columns(TIMES).resource
    return np.stack([expected[:, resource == n].max(axis=1) for n in range(MEASURED)], axis=1)
