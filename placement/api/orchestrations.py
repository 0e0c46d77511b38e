"""A tenant's orchestrations, looked at, and helped when in trouble. Their cell knows them; placement passes on."""

import re
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from directory.control.client import CellControl
from directory.control.work import (
    WORK,
    OperationState,
    OrchestrationQuery,
    OrchestrationReport,
    StepName,
    StepReport,
)
from directory.errors import NotFound
from directory.truth import Directory
from placement.api.homes import home, opening
from placement.api.values import Page
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size
from runtime.api.problem import not_found

_WORK = re.compile(WORK.removesuffix("$") + r"\Z")
Verb = Literal["retry", "skip"]


class Step(Output):
    """A step of an orchestration."""

    step: str
    kind: str | None = Field(description="ACTION, TIMER or SIGNAL; null: the cell does not have this version")
    after: list[str] = Field(description="the steps that it waits for")
    status: str | None = Field(description="null before it begins")
    attempts: int
    most_attempts: int
    undo_attempts: int
    most_undo_attempts: int = Field(description="0: there is nothing to undo it by")
    best_effort: bool = Field(description="whether the rest goes on when it fails")
    begin_time: datetime | None
    end_time: datetime | None
    wait_until_time: datetime | None = Field(description="of its next attempt, or of what it waits for")
    output: dict[str, Any] | None
    error: dict[str, Any] | None = Field(description="what the last attempt ended with")
    verbs: list[str] = Field(description="what may be done about it now: retry, skip")

    @classmethod
    def of(cls, report: StepReport) -> Self:
        """As operators see it."""
        fields = report.model_dump(exclude={"began_at", "ended_at", "waits_until"})
        times = {"begin_time": report.began_at, "end_time": report.ended_at, "wait_until_time": report.waits_until}
        return cls.model_validate({**fields, **times})


class Orchestration(Output):
    """An orchestration; in lists without its steps."""

    orchestration_id: str
    workflow: str
    version: int
    target: str
    state: str = Field(description="named by the step that matters")
    operation_state: OperationState = Field(description="what the tenant sees")
    lane: str
    cancel_requested: bool
    cancellable: bool = Field(description="whether it can still be asked to go back")
    steps_done: int
    steps_total: int
    create_time: datetime
    update_time: datetime
    end_time: datetime | None
    lease_end_time: datetime | None = Field(description="of the worker that is at it; null: none is")
    error: dict[str, Any] | None = Field(description="why it goes back, or went")
    stuck: list[str] = Field(description="steps that wait for an operator")
    failing_step: str | None
    next_action: str = Field(description="what happens next, or who must do something; times in UTC")
    steps: list[Step]

    @classmethod
    def of(cls, report: OrchestrationReport) -> Self:
        """As operators see it."""
        fields = report.model_dump(exclude={"created_at", "updated_at", "ended_at", "leased_until", "steps"})
        return cls.model_validate(
            {
                **fields,
                "create_time": report.created_at,
                "update_time": report.updated_at,
                "end_time": report.ended_at,
                "lease_end_time": report.leased_until,
                "steps": [Step.of(step) for step in report.steps],
            }
        )


class OrchestrationPage(Output):
    """Some orchestrations, newest first."""

    orchestrations: list[Orchestration]
    next_page_token: str = Field(default="", description="empty on the last page")


class OrchestrationFilter(Page):
    """Which orchestrations."""

    state: OperationState | None = Field(default=None, description="only in this state, as the tenant sees it")
    workflow: StepName | None = Field(default=None, description="only of this workflow")
    stuck: bool = Field(default=False, description="only those that wait for an operator")


class WhichStep(Input):
    """A step to be tried again, or to be let pass."""

    recorded: ClassVar[frozenset[str]] = frozenset({"step"})

    step: StepName | None = Field(default=None, description="null: the steps that wait for it")


class Orchestrations:
    """The handlers."""

    def __init__(self, directory: Directory, control: CellControl, tokens: PageTokens) -> None:
        self._directory, self._control, self._tokens = directory, control, tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """List, look at, retry, skip, cancel."""
        all_of = "/v1/tenants/{tenant}/orchestrations"
        one, answer, tag = all_of + "/{orchestration}", {200: Orchestration}, "orchestrations"
        return [
            Endpoint(
                "GET", all_of, self.listed, "List orchestrations, newest first", "listOrchestrations",
                {200: OrchestrationPage}, query=OrchestrationFilter, errors=(409,), tag=tag,
            ),
            Endpoint(
                "GET", one, self.get, "Look at an orchestration and its steps", "getOrchestration", answer,
                errors=(409,), tag=tag,
            ),
            Endpoint(
                "POST", one + ":retry", self.retry, "Have a step tried again, now and with all its attempts",
                "retryOrchestration", answer, body=WhichStep, errors=(409,), tag=tag,
            ),
            Endpoint(
                "POST", one + ":skip", self.skip, "Let a step pass, and leave what it may have done",
                "skipOrchestration", answer, body=WhichStep, errors=(409,), tag=tag,
            ),
            Endpoint(
                "POST", one + ":cancel", self.cancel, "Have an orchestration go back", "cancelOrchestration",
                answer, errors=(409,), tag=tag,
            ),
        ]  # fmt: skip

    async def listed(self, call: Call[None]) -> Reply:
        """Without their steps."""
        tenant_id, cell = await home(self._directory, call.path)
        asked: OrchestrationFilter = call.query
        made_for = ("orchestrations", tenant_id, asked.state or "", asked.workflow or "", str(asked.stuck))
        size = page_size(asked.page_size)
        query = OrchestrationQuery(
            state=asked.state, workflow=asked.workflow, stuck=asked.stuck, limit=size + 1,
            **self._before(made_for, asked.page_token),
        )  # fmt: skip
        try:
            found = (await self._control.orchestrations(cell, tenant_id, query)).orchestrations
        except NotFound as error:
            raise opening(cell, tenant_id, error) from error
        more = ""
        if len(found) > size:
            last = found[size - 1]
            more = self._tokens.seal(made_for, [last.created_at.isoformat(), last.orchestration_id])
        shown = [Orchestration.of(report) for report in found[:size]]
        return Reply(body=OrchestrationPage(orchestrations=shown, next_page_token=more))

    def _before(self, made_for: tuple[str, ...], token: str) -> dict[str, Any]:
        if not token:
            return {}
        time, name = self._tokens.open(made_for, token)
        return {"before_time": datetime.fromisoformat(str(time)), "before_name": name}

    async def get(self, call: Call[None]) -> Reply:
        """With its steps."""
        tenant_id, cell = await home(self._directory, call.path)
        return Reply(body=Orchestration.of(await self._control.orchestration(cell, tenant_id, _name(call))))

    async def retry(self, call: Call[None]) -> Reply:
        """409 says why not, and what would be possible."""
        return await self._operate(call, "retry")

    async def skip(self, call: Call[None]) -> Reply:
        """409 says why not, and what would be possible."""
        return await self._operate(call, "skip")

    async def _operate(self, call: Call[None], verb: Verb) -> Reply:
        tenant_id, cell = await home(self._directory, call.path)
        report = await self._control.operate(cell, tenant_id, _name(call), verb, call.body.step)
        return Reply(body=Orchestration.of(report))

    async def cancel(self, call: Call[None]) -> Reply:
        """Again changes nothing."""
        tenant_id, cell = await home(self._directory, call.path)
        return Reply(body=Orchestration.of(await self._control.cancel(cell, tenant_id, _name(call))))


def _name(call: Call[None]) -> str:
    name = call.path["orchestration"]
    if _WORK.match(name) is None:
        raise not_found("orchestration", name)
    return name
