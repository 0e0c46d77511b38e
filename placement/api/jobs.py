"""Jobs of a tenant, and who has dead ones. Their cell knows them; placement passes on."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from directory.control.client import CellControl
from directory.control.work import (
    MOST_JOBS,
    Actor,
    JobCounts,
    JobQuery,
    JobReport,
    JobsOrder,
    JobState,
    Lane,
    WorkName,
)
from directory.errors import NotFound
from directory.truth import Directory
from placement.api.homes import home, opening
from placement.api.values import Page, name
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size


class Job(Output):
    """A job, without what it is about."""

    job_id: str
    actor: str
    lane: Lane
    state: JobState
    attempts: int
    most_attempts: int
    effect_key: str | None = Field(description="what it brings about, once however often it was asked for")
    wake_time: datetime | None = Field(description="when a worker looks at it next; null: never")
    last_error: str | None
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, report: JobReport) -> Self:
        """As operators see it."""
        fields = report.model_dump(exclude={"wakes_at", "created_at", "updated_at"})
        times = {
            "wake_time": report.wakes_at,
            "create_time": report.created_at,
            "update_time": report.updated_at,
        }
        return cls.model_validate({**fields, **times})


class Counts(Output):
    """How many the tenant has, whatever was filtered by."""

    waiting: int
    running: int
    done: int
    dead: int

    @classmethod
    def of(cls, counts: JobCounts) -> Self:
        """As operators see them."""
        return cls.model_validate(counts.model_dump())


class JobPage(Output):
    """Some jobs, those first that changed last."""

    jobs: list[Job]
    counts: Counts
    next_page_token: str = Field(default="", description="empty on the last page")


class JobFilter(Page):
    """Which jobs."""

    state: JobState | None = Field(default=None, description="only in this state")
    lane: Lane | None = Field(default=None, description="only in this lane")
    actor: Actor | None = Field(default=None, description="only of this kind")


class WhichJobs(Input):
    """Named jobs, or all that are dead."""

    recorded: ClassVar[frozenset[str]] = frozenset({"jobs", "all", "actor"})

    jobs: list[WorkName] | None = Field(default=None, min_length=1, max_length=MOST_JOBS)
    all: bool = Field(default=False, description="instead of names: so many as one call does, the oldest first")
    actor: Actor | None = Field(default=None, description="with all: only of this kind")

    @model_validator(mode="after")
    def _one_way_to_say_which(self) -> Self:
        if (self.jobs is not None) == self.all:
            raise ValueError("name jobs, or say all: one of the two")
        if self.jobs is not None and self.actor is not None:
            raise ValueError("actor is for all, not for named jobs")
        return self


class JobsDone(Output):
    """To how many it was done."""

    jobs: int
    left: int = Field(description="how many of their kind wait for the same call again")


class TenantWithDeadJobs(Output):
    """A tenant that has dead jobs."""

    tenant_id: str
    jobs: int
    oldest_time: datetime
    newest_time: datetime


class DeadJobsPage(Output):
    """Some tenants of a cell that have dead jobs, in the order of their names."""

    tenants: list[TenantWithDeadJobs]
    next_page_token: str = Field(default="", description="empty on the last page")


class Jobs:
    """The handlers."""

    def __init__(self, directory: Directory, control: CellControl, tokens: PageTokens) -> None:
        self._directory, self._control, self._tokens = directory, control, tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """List, retry, discard; who has dead ones."""
        jobs, tag = "/v1/tenants/{tenant}/jobs", "jobs"
        return [
            Endpoint(
                "GET", jobs, self.listed, "List jobs, and count them", "listJobs", {200: JobPage},
                query=JobFilter, errors=(409,), tag=tag,
            ),
            Endpoint(
                "POST", jobs + ":retry", self.retry, "Have dead jobs tried again", "retryJobs",
                {200: JobsDone}, body=WhichJobs, errors=(409,), tag=tag,
            ),
            Endpoint(
                "POST", jobs + ":discard", self.discard, "Give up dead or waiting jobs for good", "discardJobs",
                {200: JobsDone}, body=WhichJobs, errors=(409,), tag=tag,
            ),
            Endpoint(
                "GET", "/v1/cells/{cell}/dead-jobs", self.dead, "List a cell's tenants that have dead jobs",
                "listDeadJobs", {200: DeadJobsPage}, query=Page, errors=(409,), tag=tag,
            ),
        ]  # fmt: skip

    async def listed(self, call: Call[None]) -> Reply:
        """Those first that changed last."""
        tenant_id, cell = await home(self._directory, call.path)
        asked: JobFilter = call.query
        made_for = ("jobs", tenant_id, asked.state or "", asked.lane or "", asked.actor or "")
        size = page_size(asked.page_size)
        query = JobQuery(
            state=asked.state, lane=asked.lane, actor=asked.actor, limit=size + 1,
            **self._before(made_for, asked.page_token),
        )  # fmt: skip
        try:
            found = await self._control.jobs(cell, tenant_id, query)
        except NotFound as error:
            raise opening(cell, tenant_id, error) from error
        more = ""
        if len(found.jobs) > size:
            last = found.jobs[size - 1]
            more = self._tokens.seal(made_for, [last.updated_at.isoformat(), last.job_id])
        shown = [Job.of(report) for report in found.jobs[:size]]
        return Reply(body=JobPage(jobs=shown, counts=Counts.of(found.counts), next_page_token=more))

    def _before(self, made_for: tuple[str, ...], token: str) -> dict[str, Any]:
        if not token:
            return {}
        time, job_id = self._tokens.open(made_for, token)
        return {"before_time": datetime.fromisoformat(str(time)), "before_name": job_id}

    async def retry(self, call: Call[None]) -> Reply:
        """A bounded number in one call."""
        return await self._order(call, "retry")

    async def discard(self, call: Call[None]) -> Reply:
        """A bounded number in one call; waiting ones only by name."""
        return await self._order(call, "discard")

    async def _order(self, call: Call[None], verb: Literal["retry", "discard"]) -> Reply:
        tenant_id, cell = await home(self._directory, call.path)
        which: WhichJobs = call.body
        order = JobsOrder(jobs=which.jobs, all=which.all, actor=which.actor)
        try:
            done = await self._control.order_jobs(cell, tenant_id, verb, order)
        except NotFound as error:
            if which.jobs is None:
                raise opening(cell, tenant_id, error) from error
            raise  # the cell says which of them
        return Reply(body=JobsDone(jobs=done.jobs, left=done.left))

    async def dead(self, call: Call[None]) -> Reply:
        """By tenant."""
        cell = await self._directory.cell(name(call.path, "cell"))
        asked: Page = call.query
        made_for, size = ("dead-jobs", cell.cell_id), page_size(asked.page_size)
        after = str(self._tokens.open(made_for, asked.page_token)[0]) if asked.page_token else ""
        found = (await self._control.dead_jobs(cell, after, size + 1)).tenants
        more = self._tokens.seal(made_for, [found[size - 1].tenant_id]) if len(found) > size else ""
        shown = [
            TenantWithDeadJobs(
                tenant_id=one.tenant_id, jobs=one.jobs, oldest_time=one.oldest, newest_time=one.newest
            )
            for one in found[:size]
        ]
        return Reply(body=DeadJobsPage(tenants=shown, next_page_token=more))
