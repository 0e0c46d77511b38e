"""Plans of moves: make, look at, approve, pause, resume, stop; and how far a drain is."""

import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from directory import plans as kept
from directory.plans import NewPlan, Plans
from directory.rules import planning
from directory.rules.moves import MOST_REVERSE_SECONDS
from directory.rules.planning import PLAN_ID, PlanKind, PlanState, PlanWish, StepState
from directory.truth import Directory
from placement import metrics
from placement.access import OPERATOR
from placement.api.values import Name, Page, name
from placement.planning.draining import Progress, latest_begun, progress
from placement.planning.making import Maker
from placement.planning.wishes import Wishes
from runtime import logs
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size
from runtime.api.problem import not_found

log = logs.get("placement.plans")

EXPIRES_SECONDS = 3600.0
"""The fleet is another after a while, so a plan that nobody has approved is of no use then."""
WAIT_SECONDS = 20.0
"""For others' plans to be made: whoever asks is told rather than kept waiting."""
_PLAN_ID = re.compile(PLAN_ID.removesuffix("$") + r"\Z")
USUAL = Wishes()
Ratio = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MOST_REVERSE_SECONDS, allow_inf_nan=False)]


class Goals(Input):
    """What the plan is to reach, and at which pace. Ratios are of a cell's load to its share of the pool's."""

    recorded: ClassVar[frozenset[str]] = frozenset(each.name for each in fields(Wishes)) - {"most", "fill"}

    start: Ratio = Field(default=USUAL.start, description="nobody moves to level load while no cell is above it")
    stop: Ratio = Field(default=USUAL.stop, description="what a cell is brought down to; 1: as level as can be")
    seconds: float = Field(
        default=USUAL.seconds, gt=0, le=60, allow_inf_nan=False,
        description="for the search; then the best that was found is the plan",
    )  # fmt: skip
    exact: bool = Field(default=USUAL.exact, description="with a linear program first; without, by local search")
    moves_at_once: int = Field(default=USUAL.moves_at_once, ge=1, le=1000)
    moves_of_a_cell: int = Field(
        default=USUAL.moves_of_a_cell, ge=1, le=100, description="at once, in either direction"
    )
    moves_of_a_wave: int = Field(
        default=USUAL.moves_of_a_wave, ge=1, le=1000, description="of a cell, before the plan is made anew"
    )
    bytes_an_hour: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="null: as much as comes"
    )
    reverse_seconds: Seconds = Field(
        default=USUAL.reverse_seconds, description="how long each move keeps its way back"
    )
    cool_down_seconds: Seconds = Field(
        default=USUAL.cool_down_seconds, description="who moved is not moved again sooner, only to level load"
    )
    patience_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=USUAL.patience_seconds, description="a move that is stuck is left to itself after so long"
    )

    @model_validator(mode="after")
    def _stop_is_not_above_start(self) -> Self:
        if self.stop > self.start:
            raise ValueError("stop is at most start")
        return self

    def value(self) -> Wishes:
        """As plans are made by."""
        return Wishes(**self.model_dump())


class NewPlanBody(Input):
    """A plan as it is asked for."""

    recorded: ClassVar[frozenset[str]] = frozenset({"kind", "cell_id", "goals"})

    kind: PlanKind = Field(description="balance: level load; drain: empty a cell")
    cell_id: Name | None = Field(default=None, description="of a drain: the cell that is emptied")
    goals: Goals = Goals()

    @model_validator(mode="after")
    def _a_drain_is_of_a_cell(self) -> Self:
        if (self.kind == "drain") != (self.cell_id is not None):
            raise ValueError("cell_id is for kind drain, and only for that")
        return self


class Balance(Output):
    """One resource: the fullest cell's ratio to its share of the pool's load."""

    resource: str
    before: float
    after: float
    use: float | None = Field(description="share of all cells' capacity that is in use; null: not known")


class Promise(Output):
    """What the plan would do, as it was made last."""

    cells: int = 0
    tenants: int = 0
    unmeasured: int = Field(
        default=0, description="tenants that are new, of whom no part of a week was measured yet"
    )
    moves: int = Field(default=0, description="that are left, of all waves")
    bytes: float = 0.0
    waves: int = 0
    seconds: float | None = Field(default=None, description="expected, by what earlier moves took")
    measured_moves: int = Field(default=0, description="on which that is based; 0: on what is usual")
    peak_before: float | None = Field(default=None, description="the worst ratio; 0: nothing is levelled")
    peak_after: float | None = None
    gap: float | None = Field(default=None, description="how far that is above what is possible, at most")
    balances: list[Balance] = Field(default=[], description="of each resource that is levelled")
    began: list[Balance] = Field(default=[], description="the balances when the plan was made first")
    homeless: int = Field(default=0, description="tenants that should move, and cannot go anywhere")
    homeless_why: list[str] = Field(default=[], description="of the first hundred of them")
    remarks: list[str] = Field(default=[], description="what else should be known of it")
    tenants_left: int | None = Field(default=None, description="of a drain: when it was made last")
    bytes_left: float | None = None


class Plan(Output):
    """An ordered set of moves, and how far it is."""

    plan_id: str
    kind: PlanKind
    cell_id: str | None
    state: PlanState
    verbs: list[PlanWish] = Field(description="what may be asked for now")
    automatic: bool = Field(description="made and approved by the settings")
    approved_by: str = Field(description="empty: by nobody yet")
    wave: int = Field(description="the one that is carried out")
    moved: int
    failed: int = Field(description="given up, refused, or stuck and left to themselves")
    moved_bytes: float = Field(description="copied by the moves that have arrived")
    error: str = Field(description="what last went wrong, or what it waits for")
    goals: dict[str, Any]
    summary: Promise
    create_time: datetime
    make_time: datetime = Field(description="when it was made anew last")
    expire_time: datetime = Field(description="when it is too late to approve of it")
    approve_time: datetime | None
    end_time: datetime | None

    @classmethod
    def of(cls, plan: kept.Plan) -> Self:
        """As operators see it."""
        return cls(
            plan_id=plan.plan_id,
            kind=plan.kind,
            cell_id=plan.cell_id,
            state=plan.state,
            verbs=planning.wishes(plan.kind, plan.state),
            automatic=plan.automatic,
            approved_by=plan.approved_by,
            wave=plan.wave,
            moved=plan.moved,
            failed=plan.failed,
            moved_bytes=plan.moved_bytes,
            error=plan.error,
            goals=dict(plan.goals),
            summary=Promise.model_validate(dict(plan.summary)),
            create_time=plan.created_at,
            make_time=plan.made_at,
            expire_time=plan.expires_at,
            approve_time=plan.approved_at,
            end_time=plan.ended_at,
        )


class PlanPage(Output):
    """Some plans, the latest first."""

    plans: list[Plan]
    next_page_token: str = Field(default="", description="empty on the last page")


class PlanQuery(Page):
    """Which plans."""

    kind: PlanKind | None = None
    cell: Name | None = Field(default=None, description="only drains of this cell")
    unfinished: bool | None = Field(default=None, description="true: only those that have not ended")


class PlanMove(Output):
    """One move of a plan."""

    number: int
    wave: int
    tenant_id: str
    source: str
    destination: str
    bytes: float = Field(description="expected; of a move that has ended: copied, where that is known")
    reason: str
    state: StepState
    move_id: str = Field(description="of the move that was begun; empty: not yet")
    error: str

    @classmethod
    def of(cls, move: kept.PlanMove) -> Self:
        """As operators see it."""
        return cls(
            number=move.number,
            wave=move.wave,
            tenant_id=move.tenant_id,
            source=move.source,
            destination=move.destination,
            bytes=move.bytes,
            reason=move.reason,
            state=move.state,
            move_id=move.move_id,
            error=move.error,
        )


class PlanMovePage(Output):
    """Some moves of a plan, in its order."""

    moves: list[PlanMove]
    next_page_token: str = Field(default="", description="empty on the last page")


class PlanMoveQuery(Page):
    """Which moves."""

    state: StepState | None = None


class Drain(Output):
    """How far the drain of a cell is."""

    cell_id: str
    state: str = Field(description="of the cell")
    plan: Plan | None = Field(description="the latest one; null: none was begun yet")
    tenants_left: int
    bytes_left: float | None = Field(description="expected; null: not known yet")
    tenants_an_hour: float | None = Field(description="so far; null: nobody was moved yet")
    bytes_an_hour: float | None
    seconds_left: float | None = Field(description="null: not known, or it waits for room")
    waits_for: str = Field(description="what last went wrong, or what it waits for; empty: nothing")
    homeless: list[str] = Field(description="tenants that cannot go anywhere, and why")

    @classmethod
    def of(cls, found: Progress) -> Self:
        """As operators see it."""
        return cls(
            cell_id=found.cell.cell_id,
            state=found.cell.state,
            plan=None if found.plan is None else Plan.of(found.plan),
            tenants_left=found.cell.tenants,
            bytes_left=found.bytes_left,
            tenants_an_hour=found.tenants_an_hour,
            bytes_an_hour=found.bytes_an_hour,
            seconds_left=found.seconds_left,
            waits_for=found.waits_for,
            homeless=list(found.homeless),
        )


class PlanHandlers:
    """The handlers."""

    def __init__(self, directory: Directory, plans: Plans, maker: Maker, tokens: PageTokens) -> None:
        self._directory, self._plans, self._maker, self._tokens = directory, plans, maker, tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """In the order of a plan's life."""
        one, tag = "/v1/plans/{plan}", "plans"
        asking = [
            (self.approve, "approve", "Have it carried out"),
            (self.pause, "pause", "Begin no further moves for now"),
            (self.resume, "resume", "Go on with a paused plan"),
            (self.stop, "stop", "Begin no further moves of it; those in state begun arrive"),
        ]
        return [
            Endpoint(
                "POST", "/v1/plans", self.make, "Make a plan: who should move, and why; nothing is begun",
                "makePlan", {201: Plan}, body=NewPlanBody, errors=(404, 409), tag=tag,
            ),
            Endpoint(
                "GET", "/v1/plans", self.listed, "List plans, the latest first", "listPlans", {200: PlanPage},
                query=PlanQuery, tag=tag,
            ),
            Endpoint("GET", one, self.get, "Look at a plan", "getPlan", {200: Plan}, tag=tag),
            Endpoint(
                "GET", one + "/moves", self.moves, "Read the moves of a plan, with the reason for each",
                "listPlanMoves", {200: PlanMovePage}, query=PlanMoveQuery, tag=tag,
            ),
            *[
                Endpoint(
                    "POST", f"{one}:{verb}", handler, summary, f"{verb}Plan", {200: Plan}, errors=(409,), tag=tag
                )
                for handler, verb, summary in asking
            ],
            Endpoint(
                "GET", "/v1/cells/{cell}/drain", self.drain, "See how far the drain of a cell is", "getDrain",
                {200: Drain}, tag=tag,
            ),
        ]  # fmt: skip

    async def make(self, call: Call[None]) -> Reply:
        """From what is known now; a plan in which nobody moves is one, too."""
        body: NewPlanBody = call.body
        wishes = body.goals.value()
        made = await self._maker.make(wishes, body.cell_id, wait_seconds=WAIT_SECONDS)
        new = NewPlan(
            body.kind, body.cell_id, goals=wishes.goals(), summary=made.summary, expires_seconds=EXPIRES_SECONDS
        )
        plan = await self._plans.propose(new, made.moves)
        metrics.PLANS.labels(plan.kind, "propose").inc()
        log.info("plan_proposed", plan=plan.plan_id, kind=plan.kind, cell=plan.cell_id, moves=len(made.moves))
        return Reply(201, Plan.of(plan))

    async def listed(self, call: Call[None]) -> Reply:
        """By id, which is by time."""
        query: PlanQuery = call.query
        made_for = ("plans", query.kind or "", query.cell or "", str(query.unfinished))
        before = str(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        found = await self._plans.plans(
            before=before, limit=size + 1, kind=query.kind, cell_id=query.cell, unfinished=query.unfinished
        )
        more = self._tokens.seal(made_for, [found[size - 1].plan_id]) if len(found) > size else ""
        return Reply(body=PlanPage(plans=[Plan.of(plan) for plan in found[:size]], next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """One."""
        return Reply(body=Plan.of(await self._plans.plan(plan_of(call))))

    async def moves(self, call: Call[None]) -> Reply:
        """By number."""
        query: PlanMoveQuery = call.query
        plan_id, size = plan_of(call), page_size(query.page_size)
        made_for = ("plan-moves", plan_id, query.state or "")
        after = int(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else 0
        states = () if query.state is None else (query.state,)
        found = await self._plans.moves(plan_id, after, size + 1, states)
        more = self._tokens.seal(made_for, [found[size - 1].number]) if len(found) > size else ""
        return Reply(body=PlanMovePage(moves=[PlanMove.of(each) for each in found[:size]], next_page_token=more))

    async def approve(self, call: Call[None]) -> Reply:
        """The leader carries it out."""
        return await self._ask(call, "approve")

    async def pause(self, call: Call[None]) -> Reply:
        """Once answered, nothing is begun any more."""
        return await self._ask(call, "pause")

    async def resume(self, call: Call[None]) -> Reply:
        """It goes on."""
        return await self._ask(call, "resume")

    async def stop(self, call: Call[None]) -> Reply:
        """For good."""
        return await self._ask(call, "stop")

    async def _ask(self, call: Call[None], wish: PlanWish) -> Reply:
        plan = await self._plans.ask(plan_of(call), wish, call.request[OPERATOR].name)
        metrics.PLANS.labels(plan.kind, wish).inc()
        log.info("plan_asked", plan=plan.plan_id, wish=wish, state=plan.state)
        return Reply(body=Plan.of(plan))

    async def drain(self, call: Call[None]) -> Reply:
        """Of the latest plan that was begun for the cell."""
        cell = await self._directory.cell(name(call.path, "cell"))
        begun = await latest_begun(self._plans, cell.cell_id)
        return Reply(body=Drain.of(progress(cell, begun, datetime.now(UTC))))


def plan_of(call: Call[None]) -> str:
    """The plan that the path names; ApiError 404 when there cannot be one of that name."""
    found = call.path["plan"]
    if _PLAN_ID.match(found) is None:
        raise not_found("plan", found)
    return found
