"""Bodies of the control contract's calls about work: a tenant's orchestrations and jobs, for operators.

What is said twice is done once, unless it failed again in between. Lists are read page by page, each with the last
one's time and name as `before_time` and `before_name`.

    GET  /control/v1/tenants/{tenant}/orchestrations?…                          -> OrchestrationList
    GET  /control/v1/tenants/{tenant}/orchestrations/{orchestration}            -> OrchestrationReport
    POST /control/v1/tenants/{tenant}/orchestrations/{orchestration}:retry      StepOrder -> OrchestrationReport
    POST /control/v1/tenants/{tenant}/orchestrations/{orchestration}:skip       StepOrder -> OrchestrationReport
    POST /control/v1/tenants/{tenant}/orchestrations/{orchestration}:cancel     -> OrchestrationReport
    GET  /control/v1/tenants/{tenant}/jobs?…                                    -> JobList
    POST /control/v1/tenants/{tenant}/jobs:retry                                JobsOrder -> JobsReport
    POST /control/v1/tenants/{tenant}/jobs:discard                              JobsOrder -> JobsReport
    GET  /control/v1/dead-jobs?after=&limit=                                    -> DeadJobsList
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

OperationState = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
JobState = Literal["waiting", "running", "done", "dead"]
Lane = Literal["interactive", "bulk"]
WORK = r"^[A-Za-z0-9_-]{1,64}$"
STEP = r"^[a-z][a-z0-9_]{0,39}$"
MOST_JOBS = 1000
"""That one order names."""

WorkName = Annotated[str, StringConstraints(pattern=WORK)]
"""Of an orchestration or a job."""
StepName = Annotated[str, StringConstraints(pattern=STEP)]
"""Of a step or a workflow."""
Actor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
"""A kind of job."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Page(_Value):
    """A page, newest first: what is older than the last one of the page before."""

    before_time: AwareDatetime | None = None
    before_name: WorkName | None = None
    limit: int = Field(default=100, ge=1, le=1000)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.before_time is None) != (self.before_name is None):
            raise ValueError("before_time and before_name belong together")
        return self

    @property
    def before(self) -> tuple[datetime, str] | None:
        """Where the page before ended."""
        if self.before_time is None or self.before_name is None:
            return None
        return self.before_time, self.before_name


class OrchestrationQuery(_Page):
    """Which orchestrations. `stuck`: only those that have a step which nobody could undo."""

    state: OperationState | None = None
    workflow: StepName | None = None
    stuck: bool = False


class StepOrder(_Value):
    """Which step; null: those that wait for it."""

    step: StepName | None = None


class StepReport(_Value):
    """A step. `status` is null before it begins; `most_…` is 0 for what is not tried, or not undone.

    `error` is what the last attempt, or the last one to undo it, ended with.
    """

    step: str
    kind: Literal["ACTION", "TIMER", "SIGNAL"] | None = None
    after: list[str]
    status: str | None = None
    attempts: int = 0
    most_attempts: int = 0
    undo_attempts: int = 0
    most_undo_attempts: int = 0
    best_effort: bool = False
    began_at: datetime | None = None
    ended_at: datetime | None = None
    waits_until: datetime | None = None
    output: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    verbs: list[Literal["retry", "skip"]]


class OrchestrationReport(_Value):
    """An orchestration; in lists without its steps. `next_action`: what happens next, or who must do something."""

    orchestration_id: str
    workflow: str
    version: int
    target: str
    state: str
    operation_state: OperationState
    lane: Lane
    cancel_requested: bool
    cancellable: bool
    steps_done: int
    steps_total: int
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    leased_until: datetime | None = None
    error: dict[str, Any] | None = None
    stuck: list[str]
    failing_step: str | None = None
    next_action: str
    steps: list[StepReport]


class OrchestrationList(_Value):
    """A page; fewer than asked for means that it is the last."""

    orchestrations: list[OrchestrationReport]


class JobQuery(_Page):
    """Which jobs; the page's time is when one changed last."""

    state: JobState | None = None
    lane: Lane | None = None
    actor: Actor | None = None


class JobReport(_Value):
    """A job, without what it is about."""

    job_id: str
    actor: str
    lane: Lane
    state: JobState
    attempts: int
    most_attempts: int
    effect_key: str | None = None
    wakes_at: datetime | None = None
    last_error: str | None = None
    created_at: datetime
    updated_at: datetime


class JobCounts(_Value):
    """How many the tenant has, whatever was filtered by."""

    waiting: int
    running: int
    done: int
    dead: int


class JobList(_Value):
    """A page; fewer than asked for means that it is the last."""

    jobs: list[JobReport]
    counts: JobCounts


class JobsOrder(_Value):
    """Named jobs; or `all` in `state`, of an actor if one is said. A retry is of dead ones."""

    jobs: list[WorkName] | None = Field(default=None, min_length=1, max_length=MOST_JOBS)
    all: bool = False
    actor: Actor | None = None
    state: Literal["dead", "waiting"] = "dead"

    @model_validator(mode="after")
    def _one_way_to_say_which(self) -> Self:
        if (self.jobs is not None) == self.all:
            raise ValueError("name jobs, or say all: one of the two")
        if self.jobs is not None and (self.actor is not None or self.state != "dead"):
            raise ValueError("actor and state are for all, not for named jobs")
        return self


class JobsReport(_Value):
    """To how many it was done, and how many of their kind are left to the next call."""

    jobs: int
    left: int


class DeadJobs(_Value):
    """A tenant that has dead jobs, and when the first and the last of them died."""

    tenant_id: str
    jobs: int
    oldest: datetime
    newest: datetime


class DeadJobsList(_Value):
    """A page by tenant name; fewer than asked for means that it is the last."""

    tenants: list[DeadJobs]
