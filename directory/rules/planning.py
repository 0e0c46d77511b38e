"""The life of a plan of moves, as tables: state × event → state, and the same for each of its moves.

Rules:

- Nothing moves before somebody has approved of it: an operator, or whoever drained the cell, or the settings.
- A plan that is paused begins no more moves; what it has begun goes on. One that stops waits for these.
- After each wave a plan is made anew with what really happened: under the same name, from the next wave on.
- Whatever fails again and again ends the plan, with the reason.

(What a customer subscribes to is called a plan too: `rules.plans`.)
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from directory.errors import NotAllowed, Stale
from directory.rules import moves, states
from directory.values import Cell, CellState, MovePhase, Tenant, Wish

PlanKind = Literal["balance", "drain"]
PlanState = Literal["PROPOSED", "APPROVED", "PAUSED", "STOPPING", "STOPPED", "DONE", "EXPIRED", "FAILED"]
PlanWish = Literal["approve", "pause", "resume", "stop"]
"""What operators ask for."""
PlanEnd = Literal["done", "fail", "stopped"]
"""What the leader finds."""
PlanEvent = PlanWish | PlanEnd | Literal["expire"]
StepState = Literal["waiting", "begun", "moved", "failed", "refused", "left", "dropped"]
StepEvent = Literal["begin", "arrive", "give_up", "refuse", "leave", "drop"]

PLANS: Mapping[tuple[PlanState, PlanEvent], PlanState] = {
    ("PROPOSED", "approve"): "APPROVED",
    ("PROPOSED", "stop"): "STOPPED",
    ("PROPOSED", "expire"): "EXPIRED",
    ("APPROVED", "pause"): "PAUSED",
    ("PAUSED", "resume"): "APPROVED",
    ("APPROVED", "stop"): "STOPPING",
    ("PAUSED", "stop"): "STOPPING",
    ("STOPPING", "stopped"): "STOPPED",
    ("APPROVED", "done"): "DONE",
    ("APPROVED", "fail"): "FAILED",
    # The cell is empty: there is nothing left to be paused or stopped.
    ("PAUSED", "done"): "DONE",
    ("STOPPING", "done"): "DONE",
}
ENDED: frozenset[PlanState] = frozenset(("STOPPED", "DONE", "EXPIRED", "FAILED"))
ACTIVE: tuple[PlanState, ...] = ("APPROVED", "PAUSED", "STOPPING")
"""Of these there is one for the balance, and one for each cell that is drained."""

STEPS: Mapping[tuple[StepState, StepEvent], StepState] = {
    ("waiting", "begin"): "begun",
    ("waiting", "refuse"): "refused",  # the directory has a reason not to plan such a move
    ("waiting", "drop"): "dropped",  # the plan ended before
    ("begun", "arrive"): "moved",
    ("begun", "give_up"): "failed",
    ("begun", "leave"): "left",  # it is stuck or rests: the plan goes on without it
}
ARRIVED: tuple[MovePhase, ...] = ("REVERSIBLE", "CLEANING", "DONE")
"""The tenant lives in its destination, and nothing is in flight any more."""
GONE_BACK: tuple[MovePhase, ...] = ("ABORTED", "REVERSING", "REVERSED")

MOST_PROPOSED = 20
"""Of those that nobody has approved; older ones expire."""
MOST_ENDED = 200
"""Ended plans that are kept."""
MOST_MOVES = 10_000
"""Of one plan that are kept. It is made anew after each wave, so what comes later is of little interest."""
BUDGETED_SECONDS = 86_400.0
"""What was begun within them is kept, however much it is: budgets count it."""
MOST_TEXT = 500
IN_VAIN = "its switch was tried for long, and has not come"
UNCARRIED = "nobody has carried it for long"
MEASURED = 4
"""The first so many of `rules.reservations.TAKEN` are measured; the others are capped, and known exactly."""
PLAN_ID = moves.MOVE_ID.replace("mv-", "pl-")


def plan_id(milliseconds: int, random_bits: int) -> str:
    """`pl-` and 20 characters that sort by time."""
    return "pl-" + moves.move_id(milliseconds, random_bits).removeprefix("mv-")


def after(state: PlanState, event: PlanEvent) -> PlanState:
    """The next state; NotAllowed says what would be possible."""
    return states.after(PLANS, state, event)


def stepped(state: StepState, event: StepEvent) -> StepState:
    """The next state of one move; NotAllowed says what would be possible."""
    return states.after(STEPS, state, event)


def told(phase: MovePhase | None, *, stuck: bool) -> StepEvent | None:
    """What becomes of a move that was begun, by its phase in the directory; None there: it is known no longer."""
    if phase is None or phase in GONE_BACK:
        return "give_up"
    if phase in ARRIVED:
        return "arrive"
    return "leave" if stuck else None


def carried(expected: float, state: StepState, progress: Mapping[str, Any]) -> float:
    """Bytes of one move of a plan: those that were copied, once it has ended and where that is known."""
    copied = progress.get("bytes_copied")
    if state not in ("moved", "failed") or isinstance(copied, bool) or not isinstance(copied, int | float):
        return expected
    return max(0.0, float(copied))


def is_tried_in_vain(phase: MovePhase, wish: Wish, *, waited: bool) -> bool:
    """Whether it has gone through its phases again and again, and nobody has asked for its end.

    `waited`: so long ago it was READY first, with what was copied last. Each try begins a phase anew and clears
    the error, so neither tells.
    """
    return waited and phase in moves.BEFORE_FENCING and wish != "cancel"


def obstruction(cell: Cell, tenant: Tenant, *, waited: bool) -> str | None:
    """Why nothing comes of a move to this cell that is under way; None: something may.

    Room in a full one may come, so it is waited for.
    """
    if (why := moves.refusal_for_good(cell, tenant)) is not None:
        return why
    return f"cell {cell.cell_id} is full, and was for long" if waited and not cell.free_tenants else None


def check_under_way(plan_id: str, number: int, step: StepState) -> None:
    """Stale for a move that was not begun, or has ended."""
    if step != "begun":
        raise Stale(f"move {number} of plan {plan_id} is {step}: nothing is to be cancelled")


def check_wish(kind: PlanKind, state: PlanState, wish: PlanWish, *, expired: bool) -> None:
    """NotAllowed with what is possible instead. A drain is begun and called off at its cell."""
    if kind == "drain" and wish == "approve":
        raise NotAllowed("approve is not possible: a drain is approved by draining its cell (cellway cells drain)")
    if kind == "drain" and wish == "stop" and state in ACTIVE:
        raise NotAllowed("stop is not possible while its cell drains; possible: open or cordon the cell, or pause")
    if wish == "approve" and state == "PROPOSED" and expired:
        raise NotAllowed("the plan has expired: the fleet is another by now; make a new one")
    after(state, wish)


def taken(plan_id: str, state: PlanState) -> NotAllowed:
    """Why another plan cannot be carried out beside this one."""
    return NotAllowed(f"plan {plan_id} is {state}, and there is one at a time: let it end, or stop it")


def check_waiting(plan_id: str, state: PlanState, number: int, step: StepState) -> None:
    """Stale for a move that is not to be begun (any more)."""
    if state != "APPROVED":
        raise Stale(f"plan {plan_id} is {state}: nothing is begun")
    if step != "waiting":
        raise Stale(f"move {number} of plan {plan_id} is {step} already")


def check_source(tenant_id: str, planned: str, home: str, state: CellState) -> None:
    """NotAllowed for a tenant that lives elsewhere by now, or in a cell that was lost since."""
    if home != planned:
        raise NotAllowed(f"tenant {tenant_id} lives in cell {home} by now, not in {planned}")
    if state == "failed":
        raise NotAllowed(f"cell {home} has failed: only it has its tenants' rows, so nobody is moved out of it")


def check_offer(cell_id: str, planned: int, offer: int) -> None:
    """NotAllowed for a cell that offers something else by now. Planned with 0: that is not known."""
    if planned not in (0, offer):
        raise NotAllowed(f"cell {cell_id} offers something else by now than when this wave was planned")


def check_remake(plan_id: str, state: PlanState, known: int, wave: int, begun: int) -> None:
    """Stale when it is not the end of this wave."""
    if (state, known) != ("APPROVED", wave):
        raise Stale(f"plan {plan_id} is {state} in wave {known}, not APPROVED in wave {wave}")
    if begun:
        raise Stale(f"{begun} moves of plan {plan_id} are under way")


def check_end(plan_id: str, begun: int) -> None:
    """NotAllowed while a move is under way."""
    if begun:
        raise NotAllowed(f"plan {plan_id} has not ended: {begun} of its moves are under way")


def vain(before: int, tried: int, moved: int) -> int:
    """How many waves in succession have moved nobody, after one that tried to have so many moved."""
    return before if not tried else 0 if moved else before + 1


def wishes(kind: PlanKind, state: PlanState) -> list[PlanWish]:
    """What may be asked for now."""
    possible: list[PlanWish] = [wish for wish in get_args(PlanWish) if (state, wish) in PLANS]
    if kind == "drain":
        possible = [wish for wish in possible if wish != "approve" and (wish != "stop" or state not in ACTIVE)]
    return possible


def clip(text: str) -> str:
    """What is kept of a text."""
    return moves.clip(text)[:MOST_TEXT]
