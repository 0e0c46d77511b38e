"""A fleet with plans, somebody who leads, and a mover that carries moves on as far as it is told."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from directory.leading import Candidate
from directory.memory_leadership import MemoryLeadership
from directory.plans import NewPlan, Plan
from directory.values import Capacity, CellChange, Move, MovePhase
from placement.auditing import Audit
from placement.balancing.demand import prior
from placement.balancing.resources import RESOURCES
from placement.demands import Demand
from placement.gathering import WIDE
from placement.planning.automatic import Automatic, Limits
from placement.planning.conducting import Conductor
from placement.planning.making import Maker, at_once
from placement.planning.wishes import Wishes
from runtime.clock import Clock, ManualClock, SystemClock
from tests.directory.examples import new_tenant
from tests.directory.planning import Office

CPU = RESOURCES.index("cpu")


class Known:
    """`Demands`: so many CPUs of some tenants; of the others nothing.

    `heard`: of whom a cell has ever told anything; None: nobody knows.
    """

    def __init__(self, cpus: Mapping[str, float] | None = None, size: float = 1e6) -> None:
        self.cpus, self.size = dict(cpus or {}), size
        self.heard: Set[str] | None = None

    async def demand(self, tenants: Sequence[str], plans: Sequence[str], now: datetime) -> Demand:
        rows = np.array([prior(plan) for plan in plans]).reshape(len(plans), len(RESOURCES))
        if self.cpus:
            rows[:, CPU] = [self.cpus.get(tenant, 0.0) for tenant in tenants]
        known = np.array([tenant in self.cpus for tenant in tenants], dtype=np.bool_)
        heard = None if self.heard is None else np.array([tenant in self.heard for tenant in tenants], dtype=bool)
        return Demand(WIDE.spread(rows), np.full(len(tenants), self.size), known, heard)


@dataclass
class World:
    """Everything that a test of plans needs."""

    office: Office
    demands: Known = field(default_factory=Known)
    limits: Limits = field(default_factory=Limits)
    silent: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        kept = getattr(self.office.stage.truth, "clock", None)
        self.clock: Clock = kept if isinstance(kept, ManualClock) else SystemClock()
        self.conductor = self.new_conductor()
        self.term = self.office.term
        self.given_up: set[str] = set()

    def new_conductor(self) -> Conductor:
        """As a placement that has just started."""
        stage, plans = self.office.stage, self.office.plans
        self.maker = Maker(
            *(stage.truth, stage.room, stage.desk, self.demands),
            solver=at_once,
            silent=lambda: self.silent,
            clock=self.clock,
        )
        audit = Audit(self.office.log, self.clock)
        self.automatic = Automatic(plans, self.maker, self.limits, audit, self.clock)
        candidate = Candidate(MemoryLeadership(), self.office.terms, "placement", "me")
        return Conductor(stage.truth, stage.desk, plans, self.maker, candidate, self.automatic, audit, self.clock)

    async def settle(self, cell_id: str, *tenants: str) -> None:
        """Tenants that live there."""
        truth = self.office.stage.truth
        for tenant_id in tenants:
            created = await truth.create_tenant(new_tenant(tenant_id), cell_id)
            await truth.applied(tenant_id, created.revision)

    async def give_capacity(self, cpus: float, *cells: str) -> None:
        """So many CPUs to each."""
        for cell_id in cells:
            await self.office.stage.truth.update_cell(cell_id, CellChange(capacity=Capacity(cpus=cpus)))

    async def proposed(self, wishes: Wishes | None = None, cell_id: str | None = None) -> Plan:
        """As the API makes one."""
        wishes = wishes or Wishes()
        made = await self.maker.make(wishes, cell_id)
        kind = "balance" if cell_id is None else "drain"
        new = NewPlan(kind, cell_id, goals=wishes.goals(), summary=made.summary)  # type: ignore[arg-type]
        return await self.office.plans.propose(new, made.moves)

    async def approved(self, wishes: Wishes | None = None) -> Plan:
        """And approved of."""
        return await self.office.plans.ask((await self.proposed(wishes)).plan_id, "approve", "ann")

    async def again(self, plan: Plan) -> Plan:
        """As it is now."""
        return await self.office.plans.plan(plan.plan_id)

    async def round(self) -> None:
        """One step of the leader's loop."""
        await self.conductor.round(self.term)

    async def carry(self, phase: MovePhase = "DONE") -> list[Move]:
        """What movers would do; what is cancelled, or of `given_up` tenants, is aborted. What was carried."""
        stage, carried = self.office.stage, []
        while (move := await stage.moves.claim("mover-1", 60.0, 100)) is not None:
            if move.tenant_id in self.given_up or move.wish == "cancel":
                await stage.moves.record(move.move_id, move.token, "abort")
                carried.append(await stage.moves.record(move.move_id, move.token, "aborted"))
                continue
            carried.append(await stage.bring(move, phase))
            if phase != "DONE":
                await stage.moves.let_go(move.move_id, move.token, 10_000.0)
        return carried

    async def through(self, plan: Plan, most: int = 50) -> Plan:
        """Until it has ended."""
        for _ in range(most):
            await self.round()
            plan = await self.again(plan)
            if plan.ended_at is not None:
                return plan
            await self.carry()
        raise AssertionError(f"not ended after {most} rounds: {plan}")

    async def homes(self) -> dict[str, int]:
        """How many live in each cell."""
        return {cell.cell_id: cell.tenants for cell in await self.office.stage.truth.cells()}
