"""One attempt at one job: claim, steps, completion; each its own transaction, under the fence and the lease."""

import random
import time
from dataclasses import dataclass

import asyncpg

from cell import metrics
from cell.access import enter_at
from cell.database import SQL, again, transaction
from cell.errors import LeaseLost, NotAllowed, NotHere, Unavailable, Unfit
from cell.jobs.ending import arguments, end
from cell.jobs.hints import Hint
from cell.jobs.registry import JobType, Registry, Work
from cell.rules import attempts, states
from runtime import logs
from runtime.database import Connection, Pool

log = logs.get("cell.runner")


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until the lease ends. `row` is as it was when claimed."""

    hint: Hint
    row: asyncpg.Record

    @property
    def actor(self) -> str:
        return str(self.row["actor"])


class Runner:
    """Runs jobs that hints tell of. Whatever happens, the hint is then done with: Postgres knows the rest."""

    def __init__(self, pool: Pool, jobs: Registry, lease_seconds: float, namespace_domain: str) -> None:
        self._pool, self._jobs = pool, jobs
        self._lease_seconds, self._domain = lease_seconds, namespace_domain

    async def run(self, hint: Hint) -> None:
        """One attempt, if there is anything to do."""
        with logs.bound(tenant=hint.tenant_id, job=hint.job_id, epoch=hint.epoch):
            try:
                claim = await again(lambda: self._claim(hint))
            except NotHere:
                metrics.REFUSED_BY_FENCE.labels("job").inc()
                log.info("hint_dropped", reason="the tenant is not here at that epoch")
                return
            if claim is not None:
                await self._attempt(claim)

    async def _claim(self, hint: Hint) -> Claim | None:
        async with transaction(self._pool) as connection:
            await enter_at(connection, hint.tenant_id, hint.epoch)
            operation_id = await connection.fetchval(SQL["get_job"], hint.job_id)
            operation = operation_id and await connection.fetchrow(SQL["lock_operation"], operation_id)
            row = await connection.fetchrow(SQL["claim_job"], hint.job_id, self._lease_seconds)
            if not operation or row is None:
                return None  # done, taken, or not due
            if operation["state"] in states.ENDED:
                # Not possible by this program; somebody repaired rows by hand. The operation's word counts.
                await connection.execute(SQL["finish_job"], hint.job_id, "dead", "its operation had ended")
                return None
            if attempts.exhausted(row["attempts"] - 1):
                await self._park(connection, operation, row)
                return None
            state = states.after(states.OPERATIONS, operation["state"], "start")
            await connection.execute(
                SQL["advance_operation"], operation["operation_id"], state, operation["steps_done"]
            )
            return Claim(hint, row)

    async def _park(self, connection: Connection, operation: asyncpg.Record, row: asyncpg.Record) -> None:
        """Every attempt ended without a word: a job that kills its worker must not go on doing so."""
        log.error("job_parked", actor=row["actor"], attempts=row["attempts"] - 1)
        metrics.JOBS.labels(row["actor"], "dead").inc()
        error = {"code": "INTERNAL", "message": "the work was given up: it never came to an end"}
        await self._give_up(connection, operation, row, error)

    async def _attempt(self, claim: Claim) -> None:
        started = time.monotonic()
        try:
            outcome = await self._steps(claim)
        except (NotHere, LeaseLost) as error:
            outcome = "lost"
            log.warning("job_lost", actor=claim.actor, reason=str(error))
        except Exception as error:
            outcome = await self._failed(claim, error)
        metrics.JOBS.labels(claim.actor, outcome).inc()
        metrics.JOB_SECONDS.labels(claim.actor).observe(time.monotonic() - started)

    async def _steps(self, claim: Claim) -> str:
        job = self._jobs.get(claim.actor)
        if job is None:
            raise Unavailable(f"this version knows no job {claim.actor!r}")
        while (outcome := await again(lambda: self._step(claim, job))) is None:
            pass
        log.info("job_ended", actor=claim.actor, outcome=outcome, attempt=claim.row["attempts"])
        return outcome

    async def _step(self, claim: Claim, job: JobType) -> str | None:
        """The next step in one transaction; how the job ended, None when there is more to do."""
        async with transaction(self._pool) as connection:
            operation, row = await self._hold(connection, claim)
            work = Work(connection, claim.hint.tenant_id, arguments(row), self._domain)
            if operation["cancel_requested"] and job.undo is not None:
                await job.undo(work)
                await end(connection, operation, row, "cancel")
                return "cancelled"
            done = operation["steps_done"]
            await job.steps[done].act(work)
            if done + 1 == len(job.steps):
                await end(connection, operation, row, "succeed")
                return "done"
            await connection.execute(
                SQL["advance_operation"], operation["operation_id"], operation["state"], done + 1
            )
            return None

    async def _hold(self, connection: Connection, claim: Claim) -> tuple[asyncpg.Record, asyncpg.Record]:
        """Locks operation and job, and renews the lease. NotHere, LeaseLost."""
        await enter_at(connection, claim.hint.tenant_id, claim.hint.epoch)
        operation = await connection.fetchrow(SQL["lock_operation"], claim.row["operation_id"])
        row = await connection.fetchrow(
            SQL["hold_lease"], claim.hint.job_id, claim.row["lease_token"], self._lease_seconds
        )
        if operation is None or row is None:
            raise LeaseLost("another worker has this job now")
        return operation, row

    async def _failed(self, claim: Claim, error: Exception) -> str:
        """Another attempt later, or none. When even that cannot be written, the lease runs out by itself."""
        log.warning("attempt_failed", actor=claim.actor, attempt=claim.row["attempts"], error=repr(error))
        last = isinstance(error, Unfit | NotAllowed) or attempts.exhausted(claim.row["attempts"])
        try:
            return await again(lambda: self._record_failure(claim, error, last))
        except (NotHere, LeaseLost, Unavailable) as second:
            log.warning("failure_not_recorded", actor=claim.actor, error=repr(second))
            return "lost"

    async def _record_failure(self, claim: Claim, error: Exception, last: bool) -> str:
        async with transaction(self._pool) as connection:
            operation, row = await self._hold(connection, claim)
            if last:
                await self._give_up(connection, operation, row, _described(error))
                return "dead"
            wait_seconds = attempts.wait_seconds(row["attempts"], random.random())  # noqa: S311 jitter
            state = states.after(states.JOBS, row["state"], "retry")
            await connection.execute(
                SQL["release_job"],
                *(row["job_id"], row["lease_token"], state, wait_seconds, repr(error)[:500]),
            )
            return "retry"

    async def _give_up(
        self, connection: Connection, operation: asyncpg.Record, row: asyncpg.Record, error: dict[str, str]
    ) -> None:
        job = self._jobs.get(row["actor"])
        if job is not None:
            work = Work(connection, operation["tenant_id"], arguments(row), self._domain)
            try:
                # Its own savepoint: an operation must be able to end whatever became of its target.
                async with connection.transaction():
                    await job.give_up(work)
            except (Unfit, NotAllowed) as reason:
                log.warning("target_not_marked", actor=row["actor"], reason=str(reason))
        await end(connection, operation, row, "fail", error)


def _described(error: Exception) -> dict[str, str]:
    """For the tenant: our own errors say what happened, others only that it was our fault."""
    if isinstance(error, Unavailable):
        return {"code": "UNAVAILABLE", "message": str(error)}
    if isinstance(error, Unfit | NotAllowed):
        return {"code": "FAILED_PRECONDITION", "message": str(error)}
    return {"code": "INTERNAL", "message": "a fault of this service; it has been logged"}
