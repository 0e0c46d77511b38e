"""One step of the leader's loop over all plans: watch what was begun, begin more, plan the next wave, end.

Nothing is remembered here that matters: a step reads what the directory says, does one thing about it, and may be
the last one. A move of a plan begins in one transaction with the plan's own record of it, so none is begun twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence, Set
from datetime import timedelta
from typing import Any

from directory.errors import NotAllowed, NotFound, NotLeader, Stale, Unavailable
from directory.leading import Candidate
from directory.moves import Moves
from directory.plans import Plan, PlanMove, Plans
from directory.rules.moves import LANDED
from directory.rules.planning import ACTIVE, MOST_MOVES, PlanEnd
from directory.truth import Directory
from directory.values import Move, Term
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
from runtime.tasks import Tasks

log = logs.get("placement.planning.conducting")

IDLE_SECONDS = 2.0
BUSY_SECONDS = 0.5
"""Between two steps, while there is a plan."""
KEEPING_SECONDS = 60.0
"""Between two looks at what is to be forgotten."""
PATIENCE_SECONDS = 5.0
"""A plan that takes longer to be made is made beside the rounds, so that moves of others go on."""
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
MOST_LOOKED_AT, MOST_NAMED = 50, 3
"""Of the moves that a plan has left to themselves, when it ends; of those that a drain waits for."""
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
        self._waited: dict[str, float] = {}
        """When a plan was last waited for in vain, as for a row that somebody locks: then others go first."""
        self._kept_at = float("-inf")
        self._tasks = Tasks()
        self._making: tuple[Plan | None, asyncio.Task[Exception | None]] | None = None
        """The one plan that is being made, which may take longer than a round."""

    async def close(self) -> None:
        """End what goes on beside the rounds."""
        await self._tasks.close()

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
        if self._making is not None:
            await self._guarded(self._making[0], self._made())
        await self._guarded(None, self._make(None, lambda: self._automatic.look(term)))
        plans = [p for p in await self._plans.plans(unfinished=True, limit=MOST_PLANS) if p.state in ACTIVE]
        self._rests = {p.plan_id: self._rests[p.plan_id] for p in plans if p.plan_id in self._rests}
        self._waited = {p.plan_id: self._waited[p.plan_id] for p in plans if p.plan_id in self._waited}
        for plan in sorted(plans, key=lambda p: self._waited.get(p.plan_id, float("-inf"))):
            await self._guarded(plan, self.advance(plan, term))
        return bool(plans)

    async def _guarded(self, plan: Plan | None, step: Awaitable[None]) -> None:
        """Whatever goes wrong about one plan, the others go on. NotLeader; Unavailable."""
        name = "" if plan is None else plan.plan_id
        try:
            await step
        except NotLeader:
            raise
        except Unavailable:
            self._waited[name] = self._clock.monotonic()
            raise
        except (Stale, NotAllowed) as changed:
            # Somebody asked for something else meanwhile: the next round sees what.
            log.info("plan_changed_meanwhile", plan=name, reason=str(changed))
        except NotSolved as error:
            self._rest(name)
            log.warning("plan_not_made", plan=name, reason=str(error))
        except Exception:
            # The others go on, and this one is tried again.
            self._rest(name)
            log.exception("plan_broke", plan=name)

    async def _make(self, plan: Plan | None, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What makes a plan, unless one is being made. Beyond PATIENCE_SECONDS it goes on beside the rounds."""
        if self._making is None:
            self._making = plan, self._tasks.spawn("make a plan", _outcome(work()))
            await asyncio.wait({self._making[1]}, timeout=PATIENCE_SECONDS)
            await self._made()

    async def _made(self) -> None:
        """Raises what the making of the plan came to, once it has ended."""
        if self._making is not None and self._making[1].done():
            (_, task), self._making = self._making, None
            if (error := task.result()) is not None:
                raise error

    async def advance(self, known: Plan, term: Term) -> None:
        """One step. Stale; NotAllowed; NotLeader; NotSolved; Unavailable."""
        wishes = Wishes.of(known.goals)
        await self._withdraw(known, wishes, term)
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
        elif plan.automatic and not begun and (over := await self._automatic.over()):
            # It would wait for hours, and be in the way of whatever an operator wants meanwhile.
            await self._end(plan, "done", over, term)
        elif wave and not await self._is_stale(plan, wave, begun):
            await self._begin(plan, wishes, wave, len(begun), term)
        elif not begun and self._rests.get(plan.plan_id, 0.0) <= self._clock.monotonic():
            await self._make(plan, lambda: self._next(plan, wishes, term))

    async def _withdraw(self, plan: Plan, wishes: Wishes, term: Term) -> None:
        """Moves that nothing comes of end, so that the plan can go on with these tenants some other way."""
        for lost in await self._plans.obstructed(plan.plan_id, wishes.patience_seconds):
            targets = (f"plan/{plan.plan_id}", f"move/{lost.move_id}", f"tenant/{lost.tenant_id}")
            try:
                async with self._audit.deciding("cancelMove", targets, {"why": lost.why}, term):
                    await self._plans.withdraw(plan.plan_id, lost.number, lost.why, term)
            except (NotAllowed, NotFound, Stale) as changed:
                log.info("plan_move_not_withdrawn", plan=plan.plan_id, move=lost.move_id, reason=str(changed))
                continue
            metrics.PLAN_MOVES.labels("withdrawn").inc()
            log.warning(
                "plan_move_withdrawn", plan=plan.plan_id, move=lost.move_id, tenant=lost.tenant_id,
                reason=lost.why, term=term.number,
            )  # fmt: skip

    async def _begin(
        self, plan: Plan, wishes: Wishes, waiting: Sequence[PlanMove], under_way: int, term: Term
    ) -> None:
        budget = await self._budget(plan, wishes)
        if budget is None:
            return
        for move in beginning(waiting, under_way, await self._moves.flights(), budget):
            await self._begin_one(plan, wishes, move, term)

    async def _begin_one(self, plan: Plan, wishes: Wishes, move: PlanMove, term: Term) -> None:
        targets = (f"tenant/{move.tenant_id}", f"cell/{move.source}", f"cell/{move.destination}")
        told = {"wave": move.wave, "source": move.source, "destination": move.destination, "reason": move.reason}
        about = (*targets, f"plan/{plan.plan_id}")
        async with self._audit.deciding("beginPlanMove", about, told, term) as recording:
            try:
                begun = await self._plans.begin(plan.plan_id, move.number, wishes.options(), term)
            except (NotAllowed, NotFound) as refusal:
                recording.became("refusePlanMove", str(refusal))
                await self._plans.refuse(plan.plan_id, move.number, str(refusal), term)
                metrics.PLAN_MOVES.labels("refused").inc()
                log.info("plan_move_refused", plan=plan.plan_id, tenant=move.tenant_id, reason=str(refusal))
                return
            recording.came({}, (f"move/{begun.move_id}",))
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
        if plan.cell_id is not None and not (await self._directory.cell(plan.cell_id)).tenants:
            self._rest(plan.plan_id)
            await self._plans.note(plan.plan_id, {**plan.summary, "moves": 0}, await self._waits(plan, {}), term)
            return
        began = self._clock.monotonic()
        made = await self._maker.make(wishes, plan.cell_id, begun=await self._begun(plan))
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

    async def _begun(self, plan: Plan) -> Set[str]:
        """Cells of which it has moved somebody, or was about to, and was to move others in later waves."""
        if not _has_begun(plan):
            return frozenset()
        waiting = await self._plans.moves(plan.plan_id, states=("waiting",), limit=MOST_MOVES)
        return {move.source for move in waiting}

    async def _without(self, plan: Plan, made: Made, took_seconds: float, term: Term) -> None:
        """Nothing is left to be moved, or nothing can be."""
        summary = _since(plan, made)
        if plan.kind == "balance":
            await self._plans.note(plan.plan_id, summary, "", term)
            await self._end(plan, "done", "", term)
            return
        # A drain ends when its cell is empty: until then it waits, for room or for ways back to be over.
        self._rest(plan.plan_id, took_seconds)
        await self._plans.note(plan.plan_id, summary, await self._waits(plan, summary), term)

    async def _waits(self, plan: Plan, summary: dict[str, object]) -> str:
        """Of a drain. Whose moves they are does not matter: the plan's, left ones, or started by hand."""
        return waits_for(
            summary, await self._moves.moves(cell_id=plan.cell_id, unfinished=True, limit=MOST_NAMED + 1)
        )

    async def _end(self, plan: Plan, event: PlanEnd, error: str, term: Term) -> None:
        error = "; ".join(each for each in (error, await self._left(plan)) if each)
        told = {"event": event, "moved": plan.moved, "failed": plan.failed, "why": error}
        async with self._audit.deciding("endPlan", f"plan/{plan.plan_id}", told, term):
            ended = await self._plans.end(plan.plan_id, event, error, term)
        metrics.PLANS.labels(plan.kind, event).inc()
        log.info(
            "plan_ended", plan=plan.plan_id, kind=plan.kind, state=ended.state, moved=ended.moved,
            failed=ended.failed, reason=error, term=term.number,
        )  # fmt: skip

    async def _left(self, plan: Plan) -> str:
        """Which moves are nobody's once it has ended: left to themselves, and not over. Empty: none."""
        left = await self._plans.moves(plan.plan_id, states=("left",), limit=MOST_LOOKED_AT)
        on_their_way = [each for each in left if await self._is_under_way(each)]
        if not on_their_way:
            return ""
        named = ", ".join(f"{each.move_id} of {each.tenant_id}" for each in on_their_way[:MOST_NAMED])
        more = f" and {len(on_their_way) - MOST_NAMED} more" if len(on_their_way) > MOST_NAMED else ""
        return f"left to themselves, and may arrive yet: {named}{more}"

    async def _is_under_way(self, left: PlanMove) -> bool:
        try:
            return (await self._moves.move(left.move_id)).phase not in LANDED
        except NotFound:
            return False

    async def _keep(self, term: Term) -> None:
        """What nobody approved expires, and what ended long ago is forgotten."""
        if self._clock.monotonic() - self._kept_at < KEEPING_SECONDS:
            return
        await self._expire(term)
        await self._plans.forget(term)
        self._kept_at = self._clock.monotonic()

    async def _expire(self, term: Term) -> None:
        known, now = await self._plans.plans(unfinished=True, limit=MOST_PLANS), self._clock.now()
        due = [f"plan/{p.plan_id}" for p in known if p.state == "PROPOSED" and p.expires_at <= now]
        if not due:
            return
        async with self._audit.deciding("expirePlan", due, term=term) as recording:
            expired = await self._plans.expire(term)
            recording.came({"plans": len(expired)})
        for plan in expired:
            metrics.PLANS.labels(plan.kind, "expire").inc()
            log.info("plan_expired", plan=plan.plan_id)

    async def _is_stale(self, plan: Plan, wave: Sequence[PlanMove], begun: Sequence[PlanMove]) -> bool:
        """A wave is only good for a while. The first one waited for somebody's approval, so before it begins cells
        are looked at too; of a later one the directory refuses what does not fit by then."""
        if begun:
            return False
        if self._clock.now() - plan.made_at > timedelta(seconds=STALE_SECONDS):
            return True
        if _has_begun(plan):
            return False
        offers = await self._maker.offers()
        return any(move.offer not in (0, offers.get(move.destination)) for move in wave)

    def _rest(self, plan_id: str, took_seconds: float = 0.0) -> None:
        """Of a large fleet plans take a while to be made, and requests come first."""
        rest_seconds = max(REST_SECONDS, RESTS * took_seconds)
        self._rests[plan_id] = self._clock.monotonic() + rest_seconds


async def _outcome(work: Coroutine[Any, Any, None]) -> Exception | None:
    try:
        await work
    except Exception as error:
        return error
    return None


def waits_for(summary: dict[str, object], moves: Sequence[Move]) -> str:
    """Why nobody can be moved out of a cell just now."""
    why = summary.get("homeless_why")
    if isinstance(why, list) and why:
        return f"waits for room: {why[0]}" + (f", and {len(why) - 1} others" if len(why) > 1 else "")
    told = ", ".join(f"{move.move_id} of {move.tenant_id} is {move.phase}" for move in moves[:MOST_NAMED])
    named = f": {told}{' and more' if len(moves) > MOST_NAMED else ''}" if told else ""
    return f"waits for moves from or to the cell to end, and for their ways back to be over{named}"


def _has_begun(plan: Plan) -> bool:
    """Whether it is past its first wave, or that one has come to anything."""
    return plan.wave > 1 or plan.moved + plan.failed > 0


def _since(plan: Plan, made: Made) -> dict[str, object]:
    """What it promises from here on, and what the balance was when it began."""
    began = plan.summary.get("began", plan.summary.get("balances", made.summary["balances"]))
    return {**made.summary, "began": began}
