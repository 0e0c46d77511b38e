"""A directory with its moves and plans, of either kind, and somebody who leads."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from directory.audit import AuditLog
from directory.leadership import Terms
from directory.memory_audit import MemoryAudit
from directory.memory_leadership import MemoryTerms
from directory.memory_plans import MemoryPlans
from directory.plans import Plan, PlanMove, PlannedMove, Plans
from directory.postgres_audit import PostgresAudit
from directory.postgres_leadership import PostgresTerms
from directory.postgres_plans import PostgresPlans
from directory.values import Term
from runtime import database
from tests.directory.conftest import memory_stage, postgres_stage
from tests.directory.moving import Stage
from tests.servers import ControlDatabase

PASS_TIME = """
UPDATE directory.plans SET expires_at = expires_at - $1::interval, made_at = made_at - $1::interval,
                           ended_at = ended_at - $1::interval, created_at = created_at - $1::interval
"""
PASS_TIME_OF_MOVES = "UPDATE directory.plan_moves SET begun_at = begun_at - $1::interval"


@dataclass(frozen=True, slots=True)
class Office:
    """`stage` with its `plans`; `term` is that of whoever leads when the test begins."""

    stage: Stage
    plans: Plans
    terms: Terms
    term: Term
    log: AuditLog
    admin: "database.Connection | None" = None

    async def pass_time(self, seconds: float) -> None:
        """For moves and plans."""
        await self.stage.pass_time(seconds)
        if self.admin is not None:
            for statement in (PASS_TIME, PASS_TIME_OF_MOVES):
                await self.admin.execute(statement, timedelta(seconds=seconds))

    async def steps(self, plan: Plan) -> Sequence[PlanMove]:
        """All moves of a plan."""
        return await self.plans.moves(plan.plan_id, limit=1000)


def planned(tenant_id: str, wave: int = 1, destination: str = "cell-2", size: float = 1e6) -> PlannedMove:
    """Out of cell-1."""
    return PlannedMove(wave, tenant_id, "cell-1", destination, size, "cell-1 is hot")


@contextlib.asynccontextmanager
async def postgres_office(control: ControlDatabase) -> AsyncIterator[Office]:
    """Plans in placement's role."""
    pool = await database.open_pool(control.writer_dsn, name="test", size=10)
    admin = await database.reach(control.admin_dsn)
    async with postgres_stage(control) as stage:
        terms = PostgresTerms(pool)
        term = await terms.begin("placement", "me")
        yield Office(stage, PostgresPlans(pool), terms, term, PostgresAudit(pool), admin)
    await admin.close()
    await pool.close()


async def memory_office() -> Office:
    """Its twin."""
    stage = memory_stage()
    terms = MemoryTerms(stage.truth)  # type: ignore[arg-type]
    plans = MemoryPlans(stage.truth, stage.moves)  # type: ignore[arg-type]
    log = MemoryAudit(stage.truth)  # type: ignore[arg-type]
    return Office(stage, plans, terms, await terms.begin("placement", "me"), log)
