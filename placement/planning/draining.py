"""Cells that drain: each has a plan by itself, for whoever drained it has approved of that. Then it is empty.

What counts is the cell's state. An operator who opens or cordons it has called the drain off: what is under way
arrives, and nothing is moved back.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from directory.errors import NotAllowed, NotLeader, Unavailable
from directory.moves import Moves
from directory.plans import NewPlan, Plan, Plans
from directory.rules.planning import ACTIVE, MOST_PROPOSED
from directory.truth import Directory
from directory.values import Cell, Term
from placement import metrics
from placement.auditing import Audit
from placement.planning.wishes import Wishes
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.planning.draining")

AGAIN_SECONDS = 600.0
"""After a drain has failed its cell gets another plan, for it is still to be drained."""
OPERATOR = "operator"


class Drains:
    """What the leader does for cells that drain, beside carrying out their plans."""

    def __init__(
        self,
        directory: Directory,
        moves: Moves,
        plans: Plans,
        audit: Audit,
        clock: Clock | None = None,
        wishes: Wishes | None = None,
    ) -> None:
        self._directory, self._moves, self._plans, self._audit = directory, moves, plans, audit
        self._wishes = wishes or Wishes()
        self._clock = clock or SystemClock()

    async def look(self, term: Term) -> None:
        """A plan for each cell that drains, none for others; who is empty is told so. NotLeader; Unavailable."""
        draining = {cell.cell_id: cell for cell in await self._directory.cells() if cell.state == "draining"}
        metrics.DRAINING.set(len(draining))
        known = await self._plans.plans(kind="drain", unfinished=True, limit=len(draining) + 1000)
        plans = {plan.cell_id: plan for plan in known if plan.state in ACTIVE and plan.cell_id is not None}
        for cell_id, plan in plans.items():
            if cell_id not in draining:
                await _alone(cell_id, self._called_off(plan, cell_id, term))
        for cell_id, cell in draining.items():
            await _alone(cell_id, self._drained(cell, plans.get(cell_id), term))

    async def _drained(self, cell: Cell, plan: Plan | None, term: Term) -> None:
        if cell.tenants == 0 and not await self._moves.moves(cell_id=cell.cell_id, unfinished=True, limit=1):
            await self._empty(cell, plan, term)
        elif plan is None and not await self._rests(cell):
            new = NewPlan("drain", cell.cell_id, goals=self._wishes.goals(), approved_by=OPERATOR)
            async with self._audit.deciding("beginDrain", f"cell/{cell.cell_id}", term=term) as recording:
                made = await self._plans.propose(new, [], term)
                recording.came({}, (f"plan/{made.plan_id}",))
            metrics.PLANS.labels("drain", "approve").inc()
            log.info("drain_begun", cell=cell.cell_id, plan=made.plan_id, tenants=cell.tenants, term=term.number)

    async def _empty(self, cell: Cell, plan: Plan | None, term: Term) -> None:
        try:
            async with self._audit.deciding("emptyCell", f"cell/{cell.cell_id}", term=term):
                await self._directory.change_cell(cell.cell_id, "empty", term)
        except NotAllowed as changed:
            log.info("cell_not_empty_after_all", cell=cell.cell_id, reason=str(changed))
            return
        log.info("cell_emptied", cell=cell.cell_id, term=term.number)
        if plan is not None:
            await self._done(plan, term)

    async def _done(self, plan: Plan, term: Term) -> None:
        watched = await self._plans.watch(plan.plan_id, 0.0, term)
        try:
            async with self._audit.deciding("endPlan", f"plan/{plan.plan_id}", {"event": "done"}, term):
                ended = await self._plans.end(plan.plan_id, "done", "", term)
        except NotAllowed as under_way:
            log.info("plan_not_ended_yet", plan=plan.plan_id, reason=str(under_way))
            return
        metrics.PLANS.labels("drain", "done").inc()
        log.info("plan_ended", plan=plan.plan_id, kind="drain", state=ended.state, moved=watched.moved,
                 failed=watched.failed, reason="", term=term.number)  # fmt: skip

    async def _called_off(self, plan: Plan, cell_id: str, term: Term) -> None:
        cell = await self._directory.cell(cell_id)
        if cell.state in ("empty", "retired"):
            await self._done(plan, term)
        elif cell.state != "draining" and plan.state != "STOPPING":
            try:
                targets = (f"cell/{cell_id}", f"plan/{plan.plan_id}")
                async with self._audit.deciding("callOffDrain", targets, {"state": cell.state}, term):
                    await self._plans.call_off(plan.plan_id, term)
            except NotAllowed:
                return
            metrics.PLANS.labels("drain", "stop").inc()
            log.info("drain_called_off", cell=cell_id, plan=plan.plan_id, state=cell.state, term=term.number)

    async def _rests(self, cell: Cell) -> bool:
        latest = await latest_begun(self._plans, cell.cell_id)
        since = self._clock.now() - timedelta(seconds=AGAIN_SECONDS)
        return latest is not None and latest.state == "FAILED" and (latest.ended_at or since) > since


async def _alone(cell_id: str, step: Awaitable[None]) -> None:
    """Whatever goes wrong about one cell, the others' drains and all plans go on. NotLeader; Unavailable."""
    try:
        await step
    except (NotLeader, Unavailable):
        raise
    except Exception:
        log.exception("drain_broke", cell=cell_id)


async def latest_begun(plans: Plans, cell_id: str) -> Plan | None:
    """The drain of a cell that goes on, or else the one that ended last; what was only proposed is none."""
    for unfinished in (True, False):
        known = await plans.plans(kind="drain", cell_id=cell_id, unfinished=unfinished, limit=MOST_PROPOSED + 1)
        begun = next((plan for plan in known if plan.approved_at is not None), None)
        if begun is not None:
            return begun
    return None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a drain is. `plan` None: none was begun yet. None: not known."""

    cell: Cell
    plan: Plan | None
    bytes_left: float | None
    tenants_an_hour: float | None
    bytes_an_hour: float | None
    seconds_left: float | None
    waits_for: str
    homeless: Sequence[str]


def progress(cell: Cell, plan: Plan | None, now: datetime) -> Progress:
    """By what was moved so far; before anybody was, by what earlier moves took."""
    if plan is None:
        return Progress(cell, None, None, None, None, None, "", ())
    summary = plan.summary
    known = summary.get("bytes_left")
    hours = max(1.0, ((plan.ended_at or now) - (plan.approved_at or plan.created_at)).total_seconds()) / 3600
    pace = plan.moved / hours if plan.moved else None
    left = 0.0 if not cell.tenants else None if known is None else _left(float(known), cell, summary)
    seconds = cell.tenants / pace * 3600 if pace else summary.get("seconds")
    return Progress(
        cell=cell,
        plan=plan,
        bytes_left=left,
        tenants_an_hour=None if pace is None else round(pace, 1),
        bytes_an_hour=None if pace is None else round(plan.moved_bytes / hours, 1),
        seconds_left=0.0 if not cell.tenants else None if summary.get("homeless") else seconds,
        waits_for=plan.error,
        homeless=list(summary.get("homeless_why", ())),
    )


def _left(known: float, cell: Cell, summary: Mapping[str, Any]) -> float:
    """Of what was known when the wave was planned, the share of those who are still there."""
    then = summary.get("tenants_left") or 0
    return known * min(1.0, cell.tenants / then) if then else known
