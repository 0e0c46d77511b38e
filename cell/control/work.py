"""Orchestrations and jobs for the operator: looked at, tried again, let pass, cancelled, discarded.

Whatever was said is committed before the workers are told, so they find it; without a word the sweep finds it too.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

import asyncpg
from pydantic import Field, StringConstraints

from cell.control.keys import enter_known
from cell.database import SQL, again, transaction
from cell.jobs import operating as jobs
from cell.orchestrator import operating as orchestrations
from cell.orchestrator.registry import Registry
from cell.rules.lanes import Lane
from cell.rules.operating import Verb
from cell.work.hints import Hint, Hinter
from directory.control.work import (
    WORK,
    DeadJobs,
    DeadJobsList,
    JobCounts,
    JobList,
    JobQuery,
    JobReport,
    JobsOrder,
    JobsReport,
    OrchestrationList,
    OrchestrationQuery,
    OrchestrationReport,
    StepOrder,
    StepReport,
)
from directory.rules.names import is_name
from runtime import logs
from runtime.api.endpoint import Call, Endpoint, Input, Reply
from runtime.api.problem import not_found
from runtime.database import Connection, Pool

_WORK = re.compile(WORK.removesuffix("$") + r"\Z")
ResultT = TypeVar("ResultT")


class DeadQuery(Input):
    """A page of tenants."""

    after: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9-]*$")] = ""
    limit: int = Field(default=1000, ge=1, le=1000)


class Work:
    """The handlers. `relay`: sees of all tenants where dead jobs are, and nothing else."""

    def __init__(self, pool: Pool, relay: Pool, workflows: Registry, hinter: Hinter) -> None:
        self._pool, self._relay, self._workflows, self._hinter = pool, relay, workflows, hinter

    def endpoints(self) -> Sequence[Endpoint[None]]:
        """Their part of the contract, as data."""
        tenant = "/control/v1/tenants/{tenant}"
        all_of, one = f"{tenant}/orchestrations", f"{tenant}/orchestrations/{{orchestration}}"
        report = {200: OrchestrationReport}
        return (
            Endpoint("GET", all_of, self.list_orchestrations, "List orchestrations", "listOrchestrations",
                     {200: OrchestrationList}, query=OrchestrationQuery),
            Endpoint("GET", one, self.get_orchestration, "Look at one", "getOrchestration", report),
            Endpoint("POST", f"{one}:retry", self.retry, "Try again", "retryStep", report, body=StepOrder),
            Endpoint("POST", f"{one}:skip", self.skip, "Let pass", "skipStep", report, body=StepOrder),
            Endpoint("POST", f"{one}:cancel", self.cancel, "Go back", "cancelOrchestration", report),
            Endpoint("GET", f"{tenant}/jobs", self.list_jobs, "List jobs", "listJobs", {200: JobList},
                     query=JobQuery),
            Endpoint("POST", f"{tenant}/jobs:retry", self.retry_jobs, "Try again", "retryJobs",
                     {200: JobsReport}, body=JobsOrder),
            Endpoint("POST", f"{tenant}/jobs:discard", self.discard_jobs, "Discard", "discardJobs",
                     {200: JobsReport}, body=JobsOrder),
            Endpoint("GET", "/control/v1/dead-jobs", self.dead_jobs, "Who has dead jobs", "listDeadJobs",
                     {200: DeadJobsList}, query=DeadQuery),
        )  # fmt: skip

    # --- orchestrations ---

    async def list_orchestrations(self, call: Call[None]) -> Reply:
        """200, newest first."""
        asked: OrchestrationQuery = call.query
        wanted = orchestrations.Wanted(asked.limit, asked.state, asked.workflow, asked.stuck, asked.before)

        async def work(connection: Connection, _epoch: int) -> list[orchestrations.Seen]:
            return await orchestrations.listed(connection, self._workflows, wanted)

        found = await self._in(_tenant(call), work)
        return Reply(body=OrchestrationList(orchestrations=[_orchestration(seen, ()) for seen in found]))

    async def get_orchestration(self, call: Call[None]) -> Reply:
        """200, with its steps."""
        return await self._one(call, orchestrations.seen)

    async def retry(self, call: Call[None]) -> Reply:
        """200; 409 with what would be possible."""
        return await self._operate(call, "retry")

    async def skip(self, call: Call[None]) -> Reply:
        """200; 409 with what would be possible."""
        return await self._operate(call, "skip")

    async def cancel(self, call: Call[None]) -> Reply:
        """200; 409 when it has ended, or cannot be cancelled."""
        return await self._one(call, orchestrations.cancel, hints=True)

    async def _operate(self, call: Call[None], verb: Verb) -> Reply:
        order: StepOrder = call.body

        async def word(connection: Connection, workflows: Registry, name: str) -> orchestrations.Seen | None:
            return await orchestrations.operate(connection, workflows, name, verb, order.step)

        return await self._one(call, word, hints=True, step=order.step)

    async def _one(
        self,
        call: Call[None],
        what: Callable[[Connection, Registry, str], Awaitable[orchestrations.Seen | None]],
        *,
        hints: bool = False,
        step: str | None = None,
    ) -> Reply:
        tenant_id, name = _tenant(call), call.path["orchestration"]
        if _WORK.match(name) is None:
            raise not_found("orchestration", name)

        async def work(connection: Connection, epoch: int) -> tuple[orchestrations.Seen | None, int]:
            return await what(connection, self._workflows, name), epoch

        seen, epoch = await self._in(tenant_id, work)
        if seen is None:
            missing = ("orchestration", name) if step is None else ("orchestration or step", f"{name} {step}")
            raise not_found(*missing)
        if hints:
            self._tell(tenant_id, epoch, [seen.row["lane"]])
        return Reply(body=_orchestration(seen, seen.steps))

    # --- jobs ---

    async def list_jobs(self, call: Call[None]) -> Reply:
        """200, those first that changed last."""
        asked: JobQuery = call.query
        wanted = jobs.Wanted(asked.limit, asked.state, asked.lane, asked.actor, asked.before)

        async def work(connection: Connection, _epoch: int) -> JobList:
            rows, counts = await jobs.listed(connection, wanted), await jobs.counted(connection)
            return JobList(jobs=[_job(row) for row in rows], counts=JobCounts(**counts))

        return Reply(body=await self._in(_tenant(call), work))

    async def retry_jobs(self, call: Call[None]) -> Reply:
        """200; 404 when one is not there, 409 when one is done."""
        return await self._about_jobs(call, jobs.retry)

    async def discard_jobs(self, call: Call[None]) -> Reply:
        """200; 404 when one is not there, 409 when one runs or is done."""
        return await self._about_jobs(call, jobs.discard)

    async def _about_jobs(
        self, call: Call[None], what: Callable[[Connection, jobs.Which], Awaitable[jobs.Done]]
    ) -> Reply:
        tenant_id, order = _tenant(call), call.body
        which = jobs.Which(order.jobs, order.actor, order.state)

        async def work(connection: Connection, epoch: int) -> tuple[jobs.Done, int]:
            return await what(connection, which), epoch

        try:
            done, epoch = await self._in(tenant_id, work)
        except jobs.NoSuchJob as missing:
            raise not_found("job", str(missing)) from None
        self._tell(tenant_id, epoch, done.lanes)
        return Reply(body=JobsReport(jobs=done.jobs, left=done.left))

    async def dead_jobs(self, call: Call[None]) -> Reply:
        """200: of all tenants whose rows are here."""
        async with transaction(self._relay) as connection:
            rows = await connection.fetch(SQL["tenants_with_dead_jobs"], call.query.after, call.query.limit)
        return Reply(body=DeadJobsList(tenants=[DeadJobs(**dict(row)) for row in rows]))

    # --- both ---

    async def _in(self, tenant_id: str, work: Callable[[Connection, int], Awaitable[ResultT]]) -> ResultT:
        async def whole() -> ResultT:
            async with transaction(self._pool) as connection:
                return await work(connection, await enter_known(connection, tenant_id))

        with logs.bound(tenant=tenant_id):
            return await again(whole)

    def _tell(self, tenant_id: str, epoch: int, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            self._hinter.hint(Hint(tenant_id, epoch, lane))


def _tenant(call: Call[None]) -> str:
    tenant_id = call.path["tenant"]
    if not is_name(tenant_id):
        raise not_found("tenant", tenant_id)
    return tenant_id


def _orchestration(seen: orchestrations.Seen, steps: Sequence[orchestrations.SeenStep]) -> OrchestrationReport:
    row = seen.row
    return OrchestrationReport(
        orchestration_id=row["orchestration_id"],
        workflow=row["workflow"],
        version=row["version"],
        target=row["target"],
        state=row["state"],
        operation_state=row["operation_state"],
        lane=row["lane"],
        cancel_requested=row["cancel_requested"],
        cancellable=seen.cancellable,
        steps_done=row["steps_done"],
        steps_total=len(row["steps"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
        leased_until=seen.leased_until,
        error=_parsed(row["error"]),
        stuck=list(seen.stuck),
        failing_step=seen.failing,
        next_action=seen.next_action,
        steps=[_step(step) for step in steps],
    )


def _step(seen: orchestrations.SeenStep) -> StepReport:
    entry, declared = seen.entry, seen.declared
    return StepReport(
        step=seen.name,
        kind=None if declared is None else declared.kind.name,
        after=list(seen.after),
        status=None if entry is None else entry.status.name,
        attempts=0 if entry is None else entry.attempts,
        most_attempts=seen.most_attempts,
        undo_attempts=0 if entry is None else entry.undo_attempts,
        most_undo_attempts=seen.most_undo_attempts,
        best_effort=declared is not None and declared.best_effort,
        began_at=seen.began_at,
        ended_at=seen.ended_at,
        waits_until=seen.waits_until,
        output=None if entry is None or entry.output is None else dict(entry.output),
        error=None if entry is None or entry.error is None else dict(entry.error),
        verbs=list(seen.verbs),
    )


def _job(row: asyncpg.Record) -> JobReport:
    return JobReport(
        wakes_at=row["wake_at"],
        **{
            name: row[name]
            for name in (
                *("job_id", "actor", "lane", "state", "attempts", "most_attempts"),
                *("effect_key", "last_error", "created_at", "updated_at"),
            )
        },
    )


def _parsed(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
