"""The seam of plans: which tenants should move, why, how far that is. Whoever implements it keeps these promises:

- every write is atomic, and what was acknowledged is durable
- a plan's state changes by its table alone (`rules.planning`), and so does that of each of its moves
- of approved plans that have not ended there is one for the balance, and one for each cell that is drained
- what a leader decides carries its term, and is refused (`NotLeader`) once another one has begun
- a move of a plan and the move in the directory begin together, or not at all; none begins after a pause
- when the store is away, calls raise `Unavailable` in time
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from directory.reservations import Takes
from directory.rules.planning import PlanEnd, PlanKind, PlanState, PlanWish, StepState
from directory.rules.reservations import NOTHING
from directory.values import Move, MoveOptions, Term


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """A tenant that should move, in which wave, and why. `bytes` is what is expected to be carried.

    `takes`: what it is reckoned with in its destination, which made `offer` then; 0: not known, and not compared.
    """

    wave: int
    tenant_id: str
    source: str
    destination: str
    bytes: float
    reason: str
    takes: Takes = NOTHING
    offer: int = 0


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan as it was made. `cell_id` is the one that is drained; a plan for the balance has none.

    `goals` is how it is to be made and carried out, `summary` what it promises: both as whoever plans likes them.
    `approved_by` empty: somebody has yet to approve of it, within `expires_seconds`.
    """

    kind: PlanKind
    cell_id: str | None = None
    automatic: bool = False
    goals: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    approved_by: str = ""
    expires_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan. `wave` is the one that is carried out, 0 before the first; `vain` counts those in succession that
    have moved nobody.

    `moved`, `failed` and `moved_bytes` add up all waves. `error` is what last went wrong, or what it waits for.
    `made_at`: when it was made anew last.
    """

    plan_id: str
    kind: PlanKind
    cell_id: str | None
    state: PlanState
    automatic: bool
    goals: Mapping[str, Any]
    summary: Mapping[str, Any]
    wave: int
    vain: int
    moved: int
    failed: int
    moved_bytes: float
    approved_by: str
    error: str
    created_at: datetime
    made_at: datetime
    expires_at: datetime
    approved_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlanMove:
    """One move of a plan; `number` counts from 1. `move_id` is that of the directory, empty before it is begun.

    `bytes` is what is expected to be carried; of one that has ended: what was, where that is known.
    """

    plan_id: str
    number: int
    wave: int
    tenant_id: str
    source: str
    destination: str
    bytes: float
    reason: str
    state: StepState
    move_id: str
    error: str
    begun_at: datetime | None
    takes: Takes = NOTHING
    offer: int = 0


@dataclass(frozen=True, slots=True)
class Obstructed:
    """A move under way that nothing comes of, for its destination does not take the tenant (any more)."""

    number: int
    move_id: str
    tenant_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What was begun within some time: as expected, and of what has ended by now, as it was."""

    moves: int
    bytes: float


class Plans(Protocol):
    """Plans of moves between cells: made, approved, carried out in waves."""

    # By anybody

    async def propose(self, new: NewPlan, moves: Sequence[PlannedMove], term: Term | None = None) -> Plan:
        """A plan in state PROPOSED, or APPROVED when it names by whom.

        NotAllowed when another one is being carried out that is for the same; NotLeader.
        """

    async def plan(self, plan_id: str) -> Plan:
        """NotFound."""

    async def plans(
        self,
        *,
        before: str = "",
        limit: int = 100,
        kind: PlanKind | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Plan]:
        """The latest first; `before` is the id of the last one of the page before."""

    async def moves(
        self, plan_id: str, after: int = 0, limit: int = 100, states: Sequence[StepState] = ()
    ) -> Sequence[PlanMove]:
        """By number; those in some states alone, if any are named. NotFound."""

    async def ask(self, plan_id: str, wish: PlanWish, by: str, term: Term | None = None) -> Plan:
        """What an operator wishes, or the settings. NotFound; NotAllowed; NotLeader."""

    # By whoever leads

    async def call_off(self, plan_id: str, term: Term) -> Plan:
        """Stop the drain of a cell that is drained no longer. NotFound; NotAllowed; NotLeader."""

    async def watch(self, plan_id: str, patience_seconds: float, term: Term) -> Plan:
        """Learn what became of the moves that were begun, and count them, with the bytes that they have copied.

        One that is paused, or that something is wrong with, for `patience_seconds` is left to itself; so is one
        that was READY so long ago, and has not switched; and of a plan that stops, one that nobody has carried
        for so long. NotFound; NotLeader.
        """

    async def obstructed(self, plan_id: str, patience_seconds: float) -> Sequence[Obstructed]:
        """Those under way whose destination is not open, or which the tenant does not fit by now.

        Room in one that is full is waited for until the move was READY `patience_seconds` ago.
        """

    async def withdraw(self, plan_id: str, number: int, why: str, term: Term) -> Move:
        """Have one under way cancelled: the tenant stays where it is.

        NotFound; Stale when it is not under way; NotAllowed when it is decided by now; NotLeader.
        """

    async def begin(self, plan_id: str, number: int, options: MoveOptions, term: Term) -> Move:
        """Have this one moved. Stale when the plan is not APPROVED, or the move does not wait; NotLeader.

        NotAllowed, NotFound: as `Moves.plan` says; or it lives elsewhere by now, its cell has failed, or the
        destination offers something else than it was planned with.
        """

    async def refuse(self, plan_id: str, number: int, why: str, term: Term) -> None:
        """It is not begun. Stale; NotLeader."""

    async def remake(
        self, plan_id: str, wave: int, summary: Mapping[str, Any], moves: Sequence[PlannedMove], term: Term
    ) -> Plan:
        """After `wave`: what still waits is replaced by these; those of wave 1 are of the next one.

        `vain` says how many waves have moved nobody by then; as long as that is none, `error` is empty. NotFound;
        Stale when it is in another wave, or a move is under way, or it is not APPROVED; NotLeader.
        """

    async def note(self, plan_id: str, summary: Mapping[str, Any], error: str, term: Term) -> Plan:
        """What it looks like, and what it waits for, in the same wave. NotFound; NotLeader."""

    async def end(self, plan_id: str, event: PlanEnd, error: str, term: Term) -> Plan:
        """What was not begun is dropped. NotFound; NotAllowed, also while a move is under way; NotLeader."""

    async def expire(self, term: Term) -> Sequence[Plan]:
        """Those that nobody has approved in time. NotLeader."""

    async def forget(self, term: Term) -> int:
        """Remove the oldest of those that ended, so that a bounded number is kept; how many. NotLeader.

        One that has begun a move within a day stays, for budgets count that.
        """

    async def spent(self, seconds: float, plan_id: str | None = None) -> Spent:
        """What was begun within the last `seconds`: by a plan, or by all that approved of themselves.

        Of a day at most: what was begun before is not kept for it.
        """
