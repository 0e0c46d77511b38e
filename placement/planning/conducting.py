"""One step of the leader's loop over all plans: watch what was begun, begin more, plan the next wave, end.

Nothing is remembered here that matters: a step reads what the directory says, does one thing about it, and may be
the last one. A move of a plan begins in one transaction with the plan's own record of it, so none is begun twice.
"""

from collections.abc import Sequence
from datetime import timedelta

from directory.errors import NotAllowed, NotFound, NotLeader, Stale, Unavailable
from directory.leading import Candidate
from directory.moves import Moves
from directory.plans import Plan, PlanMove, Plans
from directory.rules.planning import ACTIVE, PlanEnd
from directory.truth import Directory
from directory.values import Term
from placement import metrics
from placement.auditing import Audit
from placement.errors import NotSolved
from placement.planning.automatic import Automatic
from placement.planning.draining import Drains
from placement.planning.making import Maker
from placement.planning.solving import Made
from placement.planning.wishes import Wishes
from placement.rules.pacing import Budget, beginning
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.planning.conducting")

IDLE_SECONDS = 2.0
BUSY_SECONDS = 0.5
"""Between two steps, while there is a plan."""
KEEPING_SECONDS = 60.0
"""Between two looks at what is to be forgotten."""
REST_SECONDS = 30.0
"""Before a plan that waits for room is made again."""
RESTS = 5.0
"""Times as long as a plan took to be made, before it is made again in the hope that there is room."""
STALE_SECONDS = 900.0
"""A wave that nobody has begun for so long is planned anew: the fleet is another by now."""
MOST_VAIN = 3
"""Waves in succession that have moved nobody; then the plan fails, with the last reason."""
MOST_PLANS = 2000
"""That have not ended: one for the balance, one for each cell that drains, and what is proposed."""
HOUR, DAY = 3600.0, 86_400.0


class Conductor:
    """Carries plans out, while this process leads."""

    def __init__(
        self,
        directory: Directory,
        moves: Moves,
        plans: Plans,
        maker: Maker,
        candidate: Candidate,
        automatic: Automatic,
        audit: Audit,
        clock: Clock | None = None,
        drains: Wishes | None = None,
    ) -> None:
        """`drains`: what is wished for in plans of cells that drain."""
        self._directory, self._moves, self._plans, self._maker = directory, moves, plans, maker
        self._candidate, self._automatic = candidate, automatic
        self._drains = Drains(directory, moves, plans, audit, clock, drains)
        self._audit = audit
        self._clock = clock or SystemClock()
        self._rests: dict[str, float] = {}
        self._kept_at = float("-inf")

    async def step(self) -> None:
        """One round, and the rest until the next. Unavailable."""
        term, busy = self._candidate.term, False
        if term is not None:
            try:
                busy = await self.round(term)
            except NotLeader as error:
                log.info("plans_left_to_another", term=term.number, reason=str(error))
        await self._clock.sleep(BUSY_SECONDS if busy else IDLE_SECONDS)

    async def round(self, term: Term) -> bool:
        """Each plan one step further; whether there is any to carry out. NotLeader; Unavailable."""
        await self._keep(term)
        await self._drains.look(term)
        await self._automatic.look(term)
        plans = [p for p in await self._plans.plans(unfinished=True, limit=MOST_PLANS) if p.state in ACTIVE]
        self._rests = {p.plan_id: self._rests[p.plan_id] for p in plans if p.plan_id in self._rests}
        for plan in plans:
            try:
                await self.advance(plan, term)
            except (NotLeader, Unavailable):
                raise
            except (Stale, NotAllowed) as changed:
                # Somebody asked for something else meanwhile: the next round sees what.
                log.info("plan_changed_meanwhile", plan=plan.plan_id, reason=str(changed))
            except NotSolved as error:
                self._rest(plan)
                log.warning("plan_not_made", plan=plan.plan_id, reason=str(error))
            except Exception:
                # The others go on, and this one is tried again.
                self._rest(plan)
                log.exception("plan_broke", plan=plan.plan_id)
        return bool(plans)

    async def advance(self, known: Plan, term: Term) -> None:
        """One step. Stale; NotAllowed; NotLeader; NotSolved; Unavailable."""
        wishes = Wishes.of(known.goals)
        plan = await self._plans.watch(known.plan_id, wishes.patience_seconds, term)
        begun = await self._plans.moves(plan.plan_id, states=("begun",), limit=1000)
        if plan.state == "STOPPING" and not begun:
            await self._end(plan, "stopped", plan.error, term)
        if plan.state != "APPROVED":
            return
        waiting = await self._plans.moves(plan.plan_id, states=("waiting",), limit=1000)
        wave = [move for move in waiting if move.wave <= plan.wave]
        if plan.vain >= MOST_VAIN and not begun:
            why = f"{plan.vain} waves in succession have moved nobody: {plan.error or 'nothing went wrong'}"
            await self._end(plan, "fail", why, term)
        elif wave and not self._is_stale(plan, begun):
            await self._begin(plan, wishes, wave, len(begun), term)
        elif not begun and self._rests.get(plan.plan_id, 0.0) <= self._clock.monotonic():
            await self._next(plan, wishes, term)

    async def _begin(
        self, plan: Plan, wishes: Wishes, waiting: Sequence[PlanMove], under_way: int, term: Term
    ) -> None:
        budget = await self._budget(plan, wishes)
        if budget is None:
            return
        for move in beginning(waiting, under_way, await self._moves.flights(), budget):
            try:
                begun = await self._plans.begin(plan.plan_id, move.number, wishes.options(), term)
            except (NotAllowed, NotFound) as refusal:
                await self._plans.refuse(plan.plan_id, move.number, str(refusal), term)
                metrics.PLAN_MOVES.labels("refused").inc()
                log.info("plan_move_refused", plan=plan.plan_id, tenant=move.tenant_id, reason=str(refusal))
                continue
            metrics.PLAN_MOVES.labels("begun").inc()
            log.info(
                "plan_move_begun", plan=plan.plan_id, wave=move.wave, move=begun.move_id, tenant=move.tenant_id,
                source=move.source, destination=move.destination, term=term.number,
            )  # fmt: skip

    async def _budget(self, plan: Plan, wishes: Wishes) -> Budget | None:
        """What may begin now; None: nothing, whatever it is."""
        budget = Budget(wishes.moves_at_once, wishes.moves_of_a_cell)
        if plan.automatic:
            left = await self._automatic.left()
            if left is None:
                return None
            budget = Budget(budget.at_once, budget.of_a_cell, left.moves, left.bytes)
        if wishes.bytes_an_hour is None:
            return budget
        hours = wishes.bytes_an_hour - (await self._plans.spent(HOUR, plan.plan_id)).bytes
        least = hours if budget.bytes is None else min(hours, budget.bytes)
        return Budget(budget.at_once, budget.of_a_cell, budget.moves, least)

    async def _next(self, plan: Plan, wishes: Wishes, term: Term) -> None:
        """The next wave, with what really happened; or the end."""
        if plan.kind == "balance" and plan.automatic and await self._automatic.left() is None:
            return
        if plan.cell_id is not None and not (await self._directory.cell(plan.cell_id)).tenants:
            self._rest(plan)
            await self._plans.note(plan.plan_id, {**plan.summary, "moves": 0}, waits_for({}), term)
            return
        began = self._clock.monotonic()
        made = await self._maker.make(wishes, plan.cell_id, going_on=plan.wave > 0)
        if not made.moves:
            await self._without(plan, made, self._clock.monotonic() - began, term)
            return
        told = {"wave": plan.wave + 1, "moves": len(made.moves)}
        async with self._audit.deciding("planWave", f"plan/{plan.plan_id}", told, term):
            went = await self._plans.remake(plan.plan_id, plan.wave, _since(plan, made), made.moves, term)
        log.info(
            "plan_wave_planned", plan=plan.plan_id, wave=went.wave, moves=len(made.moves), moved=plan.moved,
            failed=plan.failed, term=term.number,
        )  # fmt: skip

    async def _without(self, plan: Plan, made: Made, took_seconds: float, term: Term) -> None:
        """Nothing is left to be moved, or nothing can be."""
        summary = _since(plan, made)
        if plan.kind == "balance":
            await self._plans.note(plan.plan_id, summary, "", term)
            await self._end(plan, "done", "", term)
            return
        # A drain ends when its cell is empty: until then it waits, for room or for ways back to be over.
        self._rest(plan, took_seconds)
        await self._plans.note(plan.plan_id, summary, waits_for(summary), term)

    async def _end(self, plan: Plan, event: PlanEnd, error: str, term: Term) -> None:
        told = {"event": event, "moved": plan.moved, "failed": plan.failed, "why": error}
        async with self._audit.deciding("endPlan", f"plan/{plan.plan_id}", told, term):
            ended = await self._plans.end(plan.plan_id, event, error, term)
        metrics.PLANS.labels(plan.kind, event).inc()
        log.info(
            "plan_ended", plan=plan.plan_id, kind=plan.kind, state=ended.state, moved=ended.moved,
            failed=ended.failed, reason=error, term=term.number,
        )  # fmt: skip

    async def _keep(self, term: Term) -> None:
        """What nobody approved expires, and what ended long ago is forgotten."""
        if self._clock.monotonic() - self._kept_at < KEEPING_SECONDS:
            return
        for plan in await self._plans.expire(term):
            metrics.PLANS.labels(plan.kind, "expire").inc()
            log.info("plan_expired", plan=plan.plan_id)
        await self._plans.forget(term)
        self._kept_at = self._clock.monotonic()

    def _is_stale(self, plan: Plan, begun: Sequence[PlanMove]) -> bool:
        """What an operator approved of is begun as it is; a later wave is only good for a while."""
        since = self._clock.now() - plan.made_at
        return plan.wave > 1 and not begun and since > timedelta(seconds=STALE_SECONDS)

    def _rest(self, plan: Plan, took_seconds: float = 0.0) -> None:
        """Of a large fleet plans take a while to be made, and requests come first."""
        rest_seconds = max(REST_SECONDS, RESTS * took_seconds)
        self._rests[plan.plan_id] = self._clock.monotonic() + rest_seconds


def waits_for(summary: dict[str, object]) -> str:
    """Why nobody can be moved out of a cell just now."""
    why = summary.get("homeless_why")
    if isinstance(why, list) and why:
        return f"waits for room: {why[0]}" + (f", and {len(why) - 1} others" if len(why) > 1 else "")
    return "waits for moves from or to the cell to end, and for their ways back to be over"


def _since(plan: Plan, made: Made) -> dict[str, object]:
    """What it promises from here on, and what the balance was when it began."""
    began = plan.summary.get("began", plan.summary.get("balances", made.summary["balances"]))
    return {**made.summary, "began": began}
