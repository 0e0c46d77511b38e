"""The fleet as arrays, from what the directory knows: read in bulk, for whoever plans for all of it.

Nothing that is missing is in anybody's way. A tenant that was never measured is reckoned with what its plan lets
expect, and named. Of a cell whose capacity nobody has told, as much is believed as comes: then that resource is
levelled nowhere in its pool, and the number of tenants alone is.
"""

import asyncio
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from directory.moves import Moves
from directory.reservations import Reservations, Room
from directory.rules.moves import UNDECIDED
from directory.rules.plans import PLANS, plan_of
from directory.truth import Directory
from directory.values import Cell, Passage, Resident
from placement.balancing.demand import TIMES
from placement.balancing.fleet import Fleet
from placement.balancing.resources import RESOURCES, TENANTS, Columns, Floats, columns
from placement.balancing.sites import SERVING, Needs, Site, Sites
from placement.demands import Demand

COOL_DOWN_SECONDS = 3 * 86_400.0
"""Who moved is not moved again sooner than that, only to level load: what is new of load is learnt within days."""
PAGE = 5000
"""Residents at once: some milliseconds in which nobody else is served."""
MOST_NAMED = 3
REVENUE, TOP_TIER, STORAGE = (RESOURCES.index(name) for name in ("revenue", "top_tier", "storage"))
TOP_RANK = max(plan.rank for plan in PLANS.values())
WIDE = columns(TIMES)
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


class Reckons(Protocol):
    """What is known of tenants' loads."""

    async def demand(self, tenants: Sequence[str], plans: Sequence[str], now: datetime) -> Demand:
        """Of these tenants, in this order; `plans` are what they subscribe to."""


async def gather(
    directory: Directory,
    reservations: Reservations,
    moves: Moves,
    demands: Reckons,
    now: datetime,
    *,
    cool_down_seconds: float = COOL_DOWN_SECONDS,
    avoid: Set[str] = frozenset(),
) -> Fleet:
    """Everybody who lives somewhere. `avoid` names cells that nobody should be sent to just now. Unavailable."""
    # What is reserved comes first: a tenant that uses it meanwhile counts twice, rather than not at all.
    rooms = [room for room in await reservations.rooms() if room.cell.state != "retired"]
    cells = [room.cell for room in rooms]
    # Moves come before that too: whoever has arrived since is at home in the destination by both accounts.
    passages = await moves.recent(cool_down_seconds)
    people = _People({cell.cell_id: number for number, cell in enumerate(cells)}, cells)
    after = ""
    while page := await directory.residents(after, PAGE):
        people.add(page)
        after = page[-1].tenant_id
    demand = await demands.demand(people.tenants, people.plans, now)
    # Of a million tenants that takes a second, in which others are served.
    return await asyncio.to_thread(_fleet, rooms, avoid, people, passages, demand)


@dataclass
class _People:
    """Residents as columns."""

    numbers: dict[str, int]
    """Of cells."""
    cells: Sequence[Cell]
    tenants: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    home: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    revenue: list[float] = field(default_factory=list)
    gone: list[bool] = field(default_factory=list)
    kinds: dict[tuple[str | None, tuple[str, ...], str, str], int] = field(default_factory=dict)

    def add(self, page: Sequence[Resident]) -> None:
        """Some more. Who lives in a cell that was registered since the cells were read comes the next time."""
        for resident in page:
            home = self.numbers.get(resident.cell_id)
            if home is None:
                continue
            key = (resident.region, resident.tags, resident.dedicated_to, self.cells[home].version)
            self.tenants.append(resident.tenant_id)
            self.plans.append(resident.plan)
            self.home.append(home)
            self.kind.append(self.kinds.setdefault(key, len(self.kinds)))
            self.revenue.append(resident.revenue)
            self.gone.append(resident.state == "deleted")

    def needs(self) -> list[Needs]:
        """Of each kind, in the order of their numbers."""
        return [
            Needs(
                regions=frozenset((region,)) if region else frozenset(),
                tags=frozenset(tags),
                dedicated=dedicated,
                least_version=version_of(version),
            )
            for region, tags, dedicated, version in self.kinds
        ]


def version_of(text: str) -> tuple[int, ...]:
    """`1.4.2` as numbers that can be compared; nothing for what is no version: that is compared with none."""
    found = _VERSION.match(text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def capacities(cells: Sequence[Cell], wide: Columns = WIDE) -> Floats:
    """cells × columns; inf where nobody has told."""
    rows = [
        (
            cell.capacity.cpus,
            cell.capacity.memory_bytes,
            cell.capacity.storage_bytes,
            cell.capacity.network_bits,
            cell.capacity_tenants,
            cell.caps.revenue,
            cell.caps.top_tier,
        )
        for cell in cells
    ]
    told = np.array([[np.inf if each is None else float(each) for each in row] for row in rows])
    return wide.spread(told.reshape(len(cells), len(RESOURCES)))


def _fleet(
    rooms: Sequence[Room], avoid: Set[str], people: _People, passages: Sequence[Passage], demand: Demand
) -> Fleet:
    cells = [room.cell for room in rooms]
    reserved = np.array([room.reserved for room in rooms], dtype=float).reshape(len(cells), len(RESOURCES))
    expected = demand.expected.astype(float)
    expected[:, WIDE.resource == TENANTS] = 1.0
    expected[:, WIDE.resource == REVENUE] = np.array(people.revenue, dtype=float).reshape(-1, 1)
    top = {plan for plan in set(people.plans) if plan_of(plan).rank == TOP_RANK}
    expected[:, WIDE.resource == TOP_TIER] = np.array([p in top for p in people.plans], dtype=float).reshape(-1, 1)
    names = np.array(people.tenants, dtype=np.object_)
    settled = Fleet(
        sites=Sites([_site(cell, avoid) for cell in cells]),
        capacity=capacities(cells),
        tenants=people.tenants,
        demand=np.nan_to_num(expected, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0),
        home=np.array(people.home, dtype=np.int64),
        kind=np.array(people.kind, dtype=np.int64),
        kinds=people.needs(),
        bytes=np.nan_to_num(demand.bytes, nan=0.0, posinf=0.0, neginf=0.0),
        pinned=np.array(people.gone, dtype=np.bool_),
        cooling=np.zeros(len(people.tenants), dtype=np.bool_),
        held=WIDE.spread(reserved),
        columns=WIDE,
        offers=[room.offer for room in rooms],
        unmeasured=names[~demand.measured].tolist(),
        unheard=_unheard(cells, people, demand),
    )
    return under_way(settled, people.numbers, passages)


def _unheard(cells: Sequence[Cell], people: _People, demand: Demand) -> list[str]:
    if demand.told is None:
        return []
    home = np.array(people.home, dtype=np.int64)
    live, told = (np.bincount(some, minlength=len(cells)) for some in (home, home[demand.told]))
    return [cells[number].cell_id for number in np.flatnonzero((live > 0) & (told == 0)).tolist()]


def _site(cell: Cell, avoid: Set[str]) -> Site:
    state = "cordoned" if cell.state == "open" and cell.cell_id in avoid else cell.state
    return Site(
        cell.cell_id, cell.region, state, frozenset(cell.tags), cell.dedicated_to, version_of(cell.version)
    )


def under_way(fleet: Fleet, numbers: dict[str, int], passages: Sequence[Passage]) -> Fleet:
    """The same with moves in flight: who moves is pinned, at home where it goes, and held at the other end.

    Once it has arrived, only its rows are held there, as long as the way back is kept.
    """
    place = {name: number for number, name in enumerate(fleet.tenants)} if passages else {}
    home, pinned, cooling = fleet.home.copy(), fleet.pinned.copy(), fleet.cooling.copy()
    held = fleet.held.copy()
    for passage in passages:
        tenant = place.get(passage.tenant_id)
        source, destination = numbers.get(passage.source), numbers.get(passage.destination)
        if tenant is None or source is None or destination is None:
            continue
        if passage.ended:
            cooling[tenant] = True
            continue
        if passage.phase == "REVERSING":
            continue  # another move goes the way back, and tells where from and to
        stays = passage.phase == "ABORTING" or (passage.phase in UNDECIDED and passage.wish == "cancel")
        pinned[tenant] = True
        home[tenant], other = (source, destination) if stays else (destination, source)
        takes = fleet.demand[tenant]
        landed = passage.phase in ("REVERSIBLE", "CLEANING")
        held[other] += np.where(fleet.columns.resource == STORAGE, takes, 0.0) if landed else takes
    return replace(fleet, home=home, pinned=pinned, cooling=cooling, held=held)


def as_if_drained(fleet: Fleet, cell_id: str) -> Fleet:
    """The same as it would be with this cell draining, and nobody else to be moved. A failed one stays that."""
    cell = fleet.sites.names.index(cell_id)
    sites = list(fleet.sites.sites)
    if sites[cell].state in SERVING:
        sites[cell] = replace(sites[cell], state="draining")
    return replace(fleet, sites=Sites(sites), pinned=fleet.pinned | (fleet.home != cell))


def left_to_drains(fleet: Fleet) -> Fleet:
    """The same with everybody pinned who lives in a cell that drains: each drain has a plan of its own."""
    draining = np.array([site.state == "draining" for site in fleet.sites.sites], dtype=np.bool_)
    return replace(fleet, pinned=fleet.pinned | draining[fleet.home]) if draining.any() else fleet


def untold(fleet: Fleet) -> list[str]:
    """What is not levelled although tenants take it, because some open cell does not say what it can hold."""
    pooled = fleet.sites.pools >= 0
    where: dict[tuple[int, ...], list[str]] = {}
    for at, name in enumerate(RESOURCES[:TENANTS]):
        column = int(np.flatnonzero(fleet.columns.resource == at)[0])
        if missing := np.flatnonzero(pooled & ~np.isfinite(fleet.capacity[:, column])).tolist():
            where.setdefault(tuple(missing), []).append(name)
    return [_untold(fleet, cells, resources) for cells, resources in where.items()]


def unheard(fleet: Fleet) -> list[str]:
    """Cells whose tenants are reckoned with what their plans let expect, because nobody measures them."""
    if not fleet.unheard:
        return []
    told = set(fleet.unheard)
    lives = np.array([name in told for name in fleet.sites.names], dtype=np.bool_)[fleet.home]
    names = ", ".join(fleet.unheard[:MOST_NAMED])
    more = f" and {len(fleet.unheard) - MOST_NAMED} more" if len(fleet.unheard) > MOST_NAMED else ""
    return [
        f"{names}{more}: no load was ever told of the {int(lives.sum()):,} tenants there, who count as their "
        "plans let expect; an adopted service tells none"
    ]


def _untold(fleet: Fleet, cells: Sequence[int], resources: Sequence[str]) -> str:
    names = ", ".join(fleet.sites.names[cell] for cell in cells[:MOST_NAMED])
    more = f" and {len(cells) - MOST_NAMED} more" if len(cells) > MOST_NAMED else ""
    return f"{', '.join(resources)}: not levelled in the region of {names}{more}, whose capacity is not known"
