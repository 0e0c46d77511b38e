"""The seam of moves. Placement plans and asks, migration carries out; whoever implements it keeps these promises:

- every write is atomic, and what was acknowledged is durable
- a move's phase changes by its table alone (`rules.moves`), and each change is an event that can be read later
- whoever claims a move gets a fresh token; from then on every lower one is `Stale` everywhere
- about each epoch of a tenant there is one decision, COMMIT or ABORT; it comes with its re-assignment
- leases are only a convenience: nobody may do anything because of one, only because of the token
- when the store is away, calls raise `Unavailable` in time; what became of a decision is then re-read
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from directory.rules.moves import MoveStep
from directory.values import Move, MoveChange, MoveEvent, NewMove, Passage, PhaseCount, Term, Wish

NOTHING = MoveChange()


class Moves(Protocol):
    """The moves of tenants between cells: planned, claimed, recorded, decided."""

    # By whoever wants a tenant elsewhere

    async def plan(self, new: NewMove, term: Term | None = None) -> Move:
        """A move from where the tenant lives, in phase PLANNED; with the `term` of a leader: NotLeader.

        With `reverses`, that move must be REVERSIBLE and becomes REVERSING. NotFound; BadMove; NotAllowed when
        the tenant is deleted, lives there already or has another unfinished move, or the cell takes nobody, or
        would be above its caps (of tenants, revenue, top tier) with all who live there, move there or are expected
        with a reservation. What the tenant takes is promised in the destination from then on. A reverse is not
        compared with any of that.
        """

    async def check(self, new: NewMove) -> Sequence[str]:
        """Everything for which `plan` would say NotAllowed just now; empty: it would plan. Nothing is written.

        NotFound; BadMove.
        """

    async def move(self, move_id: str) -> Move:
        """NotFound. Its owner is who has a lease now."""

    async def latest(self, limit: int = 100) -> Sequence[Move]:
        """Moves that have switched, however they ended, the latest first: what they measured is known."""

    async def recent(self, seconds: float) -> Sequence[Passage]:
        """All that have not ended, and those that brought a tenant elsewhere within the last `seconds`."""

    async def flights(self) -> Mapping[str, int]:
        """In how many moves that are in flight each cell takes part; without those that take part in none."""

    async def by_phase(self) -> Sequence[PhaseCount]:
        """Of the phases in which any move is that has not ended; a row for each, however many moves there are."""

    async def moves(
        self,
        *,
        after: str = "",
        limit: int = 100,
        tenant_id: str | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Move]:
        """Moves whose id is greater than `after`, in their order, which is that of their time.

        `cell_id`: those that leave it or go there.
        """

    async def events(self, move_id: str, after: int = 0, limit: int = 1000) -> Sequence[MoveEvent]:
        """What happened to it, after number `after`. NotFound."""

    async def ask(self, move_id: str, wish: Wish) -> Move:
        """What an operator wishes; whoever carries it acts on it. NotFound; NotAllowed."""

    # By whoever carries moves out

    async def claim(self, owner: str, lease_seconds: float, most_of_a_cell: int) -> Move | None:
        """One that has something to be done and that nobody carries, at a fresh token; None when there is none.

        Those for which a tenant waits come first, however many of a cell are carried; of the others, at most so
        many of a cell at once (in either direction). One that is REVERSING has something to be done when its
        reverse was aborted or has brought the tenant back.
        """

    async def renew(self, move_id: str, token: int, lease_seconds: float) -> Move:
        """Keep the lease. NotFound; Stale."""

    async def let_go(self, move_id: str, token: int, wait_seconds: float, known: Wish | None = None) -> None:
        """Give the lease and the switch up; not claimed before `wait_seconds`, or somebody's wish. 0: at once.

        `known`: the wish with which it was claimed; another one came meanwhile, and is acted on at once. So is a
        reverse that came meanwhile, once it has ended.
        NotFound; Stale.
        """

    async def record(
        self, move_id: str, token: int, event: MoveStep, change: MoveChange = NOTHING, text: str = ""
    ) -> Move:
        """The next phase, what changes with it, and an event. NotFound; Stale; NotAllowed."""

    async def note(self, move_id: str, token: int, change: MoveChange) -> Move:
        """What changes within a phase; no event. NotFound; Stale."""

    async def take_switch(self, move_id: str, token: int, seconds: float) -> bool:
        """Be the only one that switches in both of its cells, for `seconds`; False: somebody else is.

        NotFound; Stale.
        """

    async def forget_ended(self, kept_seconds: float, most: int) -> int:
        """Remove moves that ended so long ago, with all that is kept of them, the oldest first; how many.

        One that another move is the reverse of goes after that one, whether that has ended or not.
        """

    async def missing_upgrade(self) -> int | None:
        """The first upgrade without which moves cannot be carried; None: the directory has all. Unavailable."""

    async def fresh_epoch(self) -> int:
        """Greater than all before."""

    async def commit(self, move_id: str, token: int, epoch: int) -> Move:
        """The commit point: from (source, `epoch`) to the destination at a fresh epoch, `epochs["commit"]`.

        Once more, it returns the move as it is. NotFound; Stale: the token or the epoch is outdated, or ABORT was
        decided; CellFull: the destination cannot take it; NotAllowed: it is not FINALIZING, or is cancelled.
        """

    async def release(self, move_id: str, token: int, epoch: int) -> Move:
        """The decision ABORT: from (source, `epoch`) to the source at a fresh epoch, `epochs["released"]`.

        The next attempt begins with CATCHING_UP, once the source is open again: whoever opened it notes that epoch
        as `epochs["opened"]`. Once more, it returns the move as it is. NotFound; Stale: the
        token or the epoch is outdated, or COMMIT was decided; NotAllowed: it is not being switched.
        """
