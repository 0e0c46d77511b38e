"""Plans that approve of themselves: only when the settings say so, within budgets, and outside quiet hours.

Every few minutes a plan for the balance is made, by local search alone. When nobody needs to be moved, nothing is
kept of it. Otherwise it is a plan like any other, to be seen, paused and stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from directory.errors import NotAllowed, NotFound
from directory.plans import NewPlan, Plans
from directory.rules.planning import ACTIVE
from directory.values import Term
from placement import metrics
from placement.auditing import Audit
from placement.errors import NotSolved
from placement.planning.making import Maker
from placement.planning.wishes import Wishes
from placement.rules.pacing import Hours
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.planning.automatic")

DAY = 86_400.0
ITSELF = "automatic"
OFF = "plans that approve of themselves are switched off"
QUIET = "quiet hours have begun: nothing begins by itself in them"
RESTS = 5.0
"""Times as long as a plan took to be made: of a large fleet that is a while, and requests come first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What it may do by itself. `moves` and `bytes` are of a day; None: as much as comes."""

    on: bool = False
    every_seconds: float = 300.0
    moves: int = 200
    bytes: float | None = None
    quiet: Sequence[Hours] = ()
    reverse_seconds: float = 3600.0
    """How long each move keeps its way back."""


@dataclass(frozen=True, slots=True)
class Left:
    """Of the day's budgets."""

    moves: int
    bytes: float | None


class Automatic:
    """Looks now and then whether the fleet should be levelled."""

    def __init__(
        self, plans: Plans, maker: Maker, limits: Limits, audit: Audit, clock: Clock | None = None
    ) -> None:
        self._plans, self._maker, self._limits, self._audit = plans, maker, limits, audit
        self._clock = clock or SystemClock()
        self._next = float("-inf")

    async def look(self, term: Term) -> None:
        """Make a plan and approve of it, when it is time to and there is reason. NotLeader; Unavailable."""
        if not self._limits.on:
            await self._stop(term)
            return
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + self._limits.every_seconds
        known = await self._plans.plans(kind="balance", unfinished=True)
        if any(plan.state in ACTIVE for plan in known) or await self.left() is None:
            return
        wishes = replace(Wishes.by_itself(), reverse_seconds=self._limits.reverse_seconds)
        began = self._clock.monotonic()
        try:
            made = await self._maker.make(wishes)
        except NotSolved as error:
            log.warning("plan_not_made", plan=ITSELF, reason=str(error))
            return
        finally:
            now = self._clock.monotonic()
            self._next = now + max(self._limits.every_seconds, RESTS * (now - began))
        if not made.moves:
            return
        new = NewPlan("balance", None, True, wishes.goals(), made.summary, approved_by=ITSELF)
        try:
            async with self._audit.deciding("levelLoad", (), {"moves": len(made.moves)}, term) as recording:
                plan = await self._plans.propose(new, made.moves, term)
                recording.came({}, (f"plan/{plan.plan_id}",))
        except NotAllowed:
            return  # an operator was quicker
        metrics.PLANS.labels("balance", "approve").inc()
        log.info("plan_approved", plan=plan.plan_id, by=ITSELF, moves=len(made.moves), term=term.number)

    async def _stop(self, term: Term) -> None:
        """It was switched off: a plan of its own would begin nothing, and be in the way of operators' plans."""
        known = await self._plans.plans(kind="balance", unfinished=True)
        for plan in [each for each in known if each.automatic and each.state in ("APPROVED", "PAUSED")]:
            try:
                async with self._audit.deciding("stopPlan", f"plan/{plan.plan_id}", {"why": OFF}, term):
                    await self._plans.ask(plan.plan_id, "stop", ITSELF, term)
            except (NotAllowed, NotFound) as changed:
                log.info("plan_not_stopped", plan=plan.plan_id, reason=str(changed))
                continue
            metrics.PLANS.labels("balance", "stop").inc()
            log.info("plan_stopped", plan=plan.plan_id, reason=OFF, term=term.number)

    async def over(self) -> str:
        """Why nothing begins by itself just now, whatever there is to do; empty: something may. Unavailable."""
        if not self._limits.on:
            return OFF
        if any(self._clock.now() in hours for hours in self._limits.quiet):
            return QUIET
        return "" if await self.left() is not None else self._used_up()

    def _used_up(self) -> str:
        carried = self._limits.bytes
        budget = f"{self._limits.moves:,} moves" + ("" if carried is None else f" or {carried:,.0f} bytes")
        return f"the budget of {budget} within 24 hours is used up: the next plan begins when some of it is free"

    async def left(self) -> Left | None:
        """What it may still begin today; None: nothing now."""
        limits = self._limits
        now = self._clock.now()
        if not limits.on or any(now in hours for hours in limits.quiet):
            return None
        spent = await self._plans.spent(DAY)
        left = Left(limits.moves - spent.moves, None if limits.bytes is None else limits.bytes - spent.bytes)
        return None if left.moves <= 0 or (left.bytes is not None and left.bytes <= 0) else left
