"""A tenant's turn: some of its work in one lane is claimed and carried out, then the others have theirs.

A turn ends after a while however much is left, and a tenant has only so many at a time: a flood fills its own
turns and nobody else's. What is left is hinted again, at the end of the queue.
"""

import asyncio
import time
from collections import Counter

from cell import metrics
from cell.access import enter_at
from cell.database import SQL, again, transaction
from cell.errors import NotHere, Unavailable
from cell.jobs.runner import Claimed, Whose
from cell.jobs.runner import Runner as Jobs
from cell.load import Charge, Meter, charging, stepped
from cell.orchestrator.runner import Runner as Orchestrations
from cell.work.hints import Hint, Hinter
from runtime import logs
from runtime.database import Pool

log = logs.get("cell.turns")
TURN_SECONDS = 0.25
"""After it nothing more is claimed; what is being done is finished."""
MOST_JOBS = 50
MOST_ORCHESTRATIONS = 10
"""That are claimed at once."""
LATER_SECONDS = 60.0
"""Work that wants to be looked at again within this time is hinted by this process, the rest by the sweep."""


class Turns:
    """Shares the worker out. `most_at_once`: pieces of work; `most_of_a_tenant`: turns."""

    def __init__(
        self,
        pool: Pool,
        jobs: Jobs,
        orchestrations: Orchestrations,
        hinter: Hinter,
        meter: Meter,
        *,
        most_at_once: int,
        most_of_a_tenant: int,
    ) -> None:
        self._pool, self._jobs, self._orchestrations, self._hinter = pool, jobs, orchestrations, hinter
        self._meter = meter
        self._room = asyncio.Semaphore(most_at_once)
        self._most_of_a_tenant = most_of_a_tenant
        self._running: Counter[str] = Counter()
        self._refused: set[Hint] = set()

    def __repr__(self) -> str:
        return f"<Turns {self._running.total()} running>"

    async def take(self, hint: Hint) -> None:
        """One turn, if the tenant may have another and there is anything to do."""
        tenant_id = hint.tenant_id
        if self._running[tenant_id] >= self._most_of_a_tenant:
            self._refused.add(hint)  # one of its turns ends soon, and hints again
            return
        self._running[tenant_id] += 1
        try:
            with charging(Charge(self._meter, tenant_id)):
                more = await stepped(self._turn(hint))
        finally:
            self._running[tenant_id] -= 1
            if not self._running[tenant_id]:
                del self._running[tenant_id]
            for refused in [each for each in self._refused if each.tenant_id == tenant_id]:
                self._refused.discard(refused)
                self._hinter.hint(refused)
        if more:
            self._hinter.hint(hint)

    async def _turn(self, hint: Hint) -> bool:
        """Whether there may be more to do."""
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        while True:
            try:
                jobs, orchestrations = await again(lambda: self._claim(hint))
            except NotHere:
                log.info("hint_dropped", tenant=hint.tenant_id, epoch=hint.epoch)
                return False  # left behind by a move
            except Unavailable as reason:
                log.warning("turn_ended", tenant=hint.tenant_id, reason=str(reason))
                return False  # the sweep comes back to it
            if not jobs and not orchestrations:
                return False
            await self._carry_out(hint, jobs, orchestrations)
            if loop.time() >= end:
                return True

    async def _claim(self, hint: Hint) -> tuple[list[Claimed], list[str]]:
        async with transaction(self._pool) as connection:
            await enter_at(connection, hint.tenant_id, hint.epoch)
            rows = await connection.fetch(SQL["due_orchestrations"], hint.lane, MOST_ORCHESTRATIONS, hint.epoch)
            jobs = await self._jobs.claim(connection, hint.lane, hint.epoch, MOST_JOBS)
            return list(jobs), [row["orchestration_id"] for row in rows]

    async def _carry_out(self, hint: Hint, jobs: list[Claimed], orchestrations: list[str]) -> None:
        metrics.WORK_TAKEN.labels(hint.lane).inc(len(jobs) + len(orchestrations))
        async with asyncio.TaskGroup() as group:
            if jobs:
                group.create_task(stepped(self._do_jobs(hint, jobs)))
            for orchestration_id in orchestrations:
                group.create_task(stepped(self._go_on(hint, orchestration_id)))

    async def _do_jobs(self, hint: Hint, jobs: list[Claimed]) -> None:
        async with self._room:
            began_ns = time.perf_counter_ns()
            wait_seconds = await self._jobs.carry_out(Whose(hint.tenant_id, hint.epoch), jobs)
            self._took(hint, began_ns)
        self._look_again(hint, wait_seconds)

    async def _go_on(self, hint: Hint, orchestration_id: str) -> None:
        async with self._room:
            began_ns = time.perf_counter_ns()
            wait_seconds = await self._orchestrations.run(hint.tenant_id, orchestration_id, hint.epoch)
            self._took(hint, began_ns)
        self._look_again(hint, wait_seconds)

    def _took(self, hint: Hint, began_ns: int) -> None:
        self._meter.of(hint.tenant_id).job_ns += time.perf_counter_ns() - began_ns

    def _look_again(self, hint: Hint, wait_seconds: float | None) -> None:
        if wait_seconds is not None and wait_seconds <= LATER_SECONDS:
            self._hinter.hint_later(hint, wait_seconds)
