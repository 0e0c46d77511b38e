"""Placement as it levels a fleet by itself, over twins in memory: the leader's loop, and movers that take time.

Everything that decides is the service's: who is gathered, what is expected of them, `Automatic`, `Conductor`,
budgets, waves, what moves hold at their other end. Only time is told, and moves carry nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from directory.leading import Candidate
from directory.memory import MemoryDirectory
from directory.memory_audit import MemoryAudit
from directory.memory_leadership import MemoryLeadership, MemoryTerms
from directory.memory_moves import MemoryMoves
from directory.memory_plans import MemoryPlans
from directory.memory_reservations import MemoryReservations
from directory.rules.moves import MoveStep
from directory.values import Capacity, Caps, CellChange, Move, NewCell, NewTenant
from loadtests.placement.world import Learning
from placement.auditing import Audit
from placement.balancing.fleet import Fleet, sums
from placement.balancing.resources import RESOURCES, TENANTS, Flags, Integers
from placement.balancing.sites import SERVING, Sites
from placement.gathering import gather
from placement.measuring import ASKED
from placement.planning.automatic import Automatic, Limits
from placement.planning.conducting import Conductor
from placement.planning.making import Maker, at_once
from placement.planning.wishes import Wishes
from placement.rules.predicting import USUAL_BYTES_PER_SECOND, USUAL_REST_SECONDS
from runtime.clock import ManualClock

BYTES_PER_SECOND = 10 * USUAL_BYTES_PER_SECOND
"""What `make bench-migration` finds on two cores; plans reckon with a tenth before any move was measured."""
OURSELVES = "placement"
LEASE_SECONDS = 1e8
TICK_SECONDS = 0.001
MANY = 10**6
TOP_TIER, REVENUE = RESOURCES.index("top_tier"), RESOURCES.index("revenue")
THERE: tuple[MoveStep, ...] = (
    "prepare", "capture", "copy", "catch_up", "verify", "ready", "fence", "finalize", "commit", "activate",
    "drain", "keep",
)  # fmt: skip
"""Until the tenant lives in its destination, and its way back is kept."""


def named(tenants: int) -> list[str]:
    """Names whose order is that of their numbers."""
    return [f"tenant-{number:07}" for number in range(tenants)]


class Ticking(ManualClock):
    """Nothing happens at once: what is named by its time has an order, the same in each simulation."""

    def now(self) -> datetime:
        self.advance(TICK_SECONDS)
        return super().now()


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was begun. `forced`: out of a cell in which its tenant could not stay."""

    tenant: int
    at: datetime
    forced: bool


@dataclass
class Service:
    """A leader, its directory, and movers."""

    fleet: Fleet
    learning: Learning
    clock: ManualClock
    limits: Limits
    directory: MemoryDirectory = field(init=False)
    moved: list[Moved] = field(default_factory=list)
    overfilled: int = 0
    """Cells and resources that moves would have brought above their capacity, had nobody left there meanwhile."""
    home: Integers = field(init=False)
    """Where everybody lives."""

    def __post_init__(self) -> None:
        self.home = self.fleet.home.copy()
        self.numbers = {name: number for number, name in enumerate(self.fleet.sites.names)}
        self.places = {name: number for number, name in enumerate(self.learning.tenants)}
        self.directory = MemoryDirectory(self.clock)
        self.room, self.moves = MemoryReservations(self.directory), MemoryMoves(self.directory)
        self._carried: list[tuple[datetime, str, int, bool]] = []

    async def begin(self, where: Integers) -> None:
        """Cells are open, everybody lives somewhere, and we lead."""
        everybody = len(self.learning.tenants)
        for number, site in enumerate(self.fleet.sites.sites):
            cpus, memory, storage, network, _, revenue, top = self.fleet.capacity[number].tolist()
            address = f"http://{site.cell_id}"
            await self.directory.register_cell(
                NewCell(
                    *(site.cell_id, site.region, f"{address}:8000", f"{address}:8001", everybody),
                    capacity=Capacity(cpus, int(memory), int(storage), network),
                    caps=Caps(revenue, math.ceil(top)),
                )
            )
            await self.directory.change_cell(site.cell_id, "open")
        for number, name in enumerate(self.learning.tenants):
            regions = self.fleet.kinds[self.fleet.kind[number]].regions
            plan = "premium" if self.fleet.demand[number, TOP_TIER] else "standard"
            new = NewTenant(
                name, name, plan, next(iter(regions), None), revenue=self.fleet.demand[number, REVENUE]
            )
            made = await self.directory.create_tenant(new, self.fleet.sites.names[where[number]])
            await self.directory.applied(name, made.revision)
        # Fleets are thrown together: a cell may have more than it holds.
        for name, tenants in zip(self.fleet.sites.names, self.fleet.capacity[:, TENANTS].tolist(), strict=True):
            await self.directory.update_cell(name, CellChange(capacity_tenants=math.ceil(tenants)))
        self.home = where.copy()
        self.term = await MemoryTerms(self.directory).begin(OURSELVES, "simulated")
        self.conductor = self._conductor()

    def _conductor(self) -> Conductor:
        plans, clock = MemoryPlans(self.directory, self.moves), self.clock
        maker = Maker(self.directory, self.room, self.moves, self.learning, solver=at_once, clock=clock)
        audit = Audit(MemoryAudit(self.directory), clock)
        automatic = Automatic(plans, maker, self.limits, audit, clock)
        candidate = Candidate(MemoryLeadership(), MemoryTerms(self.directory), OURSELVES, "simulated")
        return Conductor(self.directory, self.moves, plans, maker, candidate, automatic, audit, clock)

    async def seen(self) -> Fleet:
        """As plans see it."""
        wishes = Wishes()
        return await gather(
            *(self.directory, self.room, self.moves, self.learning, self.clock.now()),
            cool_down_seconds=wishes.cool_down_seconds,
        )

    def sites(self) -> Sites:
        """Cells as they are now, in the order of the fleet's."""
        return Sites(
            [replace(site, state=self.directory.get_cell(site.cell_id).state) for site in self.fleet.sites.sites]
        )

    def serving(self) -> Flags:
        """Cells that are asked what their tenants take."""
        return np.array([site.state in ASKED for site in self.sites().sites], dtype=np.bool_)

    async def pass_time(self) -> None:
        """What the leader does now, and what movers have done by now."""
        await self._arrive()
        await self.conductor.round(self.term)
        begun = []
        while (move := await self.moves.claim("mover", LEASE_SECONDS, MANY)) is not None:
            begun.append(move)
        if begun:
            await self._begin(begun)

    async def _begin(self, begun: Sequence[Move]) -> None:
        seen, now = await self.seen(), self.clock.now()
        tenants = np.array([self.places[move.tenant_id] for move in begun], dtype=np.int64)
        to = np.array([self.numbers[move.destination] for move in begun], dtype=np.int64)
        held = seen.loads(seen.home) + seen.held
        before = held - sums(to, seen.demand[tenants], len(held))
        self.overfilled += int(((held > seen.capacity * (1 + 1e-6)) & (held > before)).sum())
        for move, tenant in zip(begun, tenants.tolist(), strict=True):
            forced = self.directory.get_cell(move.source).state not in SERVING
            self.moved.append(Moved(tenant, now, forced))
            seconds = USUAL_REST_SECONDS + float(self.learning.sizes[tenant]) / BYTES_PER_SECOND
            self._carried.append((now + timedelta(seconds=seconds), move.move_id, move.token, False))

    async def _arrive(self) -> None:
        now = self.clock.now()
        due = [each for each in self._carried if each[0] <= now]
        self._carried = [each for each in self._carried if each[0] > now]
        for _, move_id, token, is_there in due:
            if is_there:
                for step in ("clean", "done"):
                    await self.moves.record(move_id, token, step)
                continue
            move = await self.moves.move(move_id)
            for step in THERE:
                if step == "commit":
                    move = await self.moves.commit(move_id, token, self._epoch(move.tenant_id))
                else:
                    move = await self.moves.record(move_id, token, step)
            self.home[self.places[move.tenant_id]] = self.numbers[move.destination]
            until = move.updated_at + timedelta(seconds=move.options.reverse_seconds)
            self._carried.append((until, move_id, token, True))

    def _epoch(self, tenant_id: str) -> int:
        assignment = self.directory.get_tenant(tenant_id).assignment
        return 0 if assignment is None else assignment.epoch
