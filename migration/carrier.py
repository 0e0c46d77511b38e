"""Carries one move from phase to phase, for as long as it has the latest token.

A phase is recorded before its work begins, and all work can be done twice. So whoever finds a move does the work
of the phase it is in, whatever the one before had done of it. What must not be done twice is decided in the
directory, in one transaction with its effect.
"""

from collections.abc import Awaitable, Callable, Mapping

from directory.moves import Moves
from directory.rules.moves import ENDED, is_urgent
from directory.truth import Directory
from directory.values import Move, MovePhase
from migration.claim import Cancelled, Claim
from migration.databases import Databases
from migration.errors import Lost
from migration.pacing import Paces
from migration.phases import aborting, after, before, switch

WORK: Mapping[MovePhase, Callable[[Claim], Awaitable[float | None]]] = {
    "PLANNED": before.planned,
    "PREPARED": before.prepared,
    "CAPTURING": before.capturing,
    "COPYING": before.copying,
    "CATCHING_UP": before.catching_up,
    "VERIFYING": before.verifying,
    "READY": switch.ready,
    "FENCING": switch.undecided,
    "FINALIZING": switch.undecided,
    "COMMITTED": switch.committed,
    "ACTIVATED": after.activated,
    "DRAINING": after.draining,
    "REVERSIBLE": after.reversible,
    "CLEANING": after.cleaning,
    "ABORTING": aborting.aborting,
    "REVERSING": after.reversing,
}


class Carrier:
    """One claim's time with a move."""

    def __init__(self, moves: Moves, directory: Directory, databases: Databases, paces: Paces, move: Move) -> None:
        self._claim = Claim(moves, directory, databases, paces, move)
        self.claimed = move

    def __repr__(self) -> str:
        return f"<Carrier of {self.move.move_id} {self.move.phase}>"

    @property
    def move(self) -> Move:
        """As it was last heard of."""
        return self._claim.move

    async def carry(self) -> float:
        """Until it has ended, or nothing is to be done now, and then for how many seconds.

        Superseded; Unavailable; Obstacle; Paused. Whatever is raised, the directory knows how far the move is.
        """
        async with self._claim as claim:
            while claim.move.phase not in ENDED:
                try:
                    wait_seconds = await WORK[claim.move.phase](claim)
                except Cancelled:
                    await claim.record("abort", text="cancelled")
                except Lost as lost:
                    await before.copy_again(claim, str(lost))
                else:
                    if wait_seconds is not None:
                        return wait_seconds
        return 0.0

    @property
    def tenant_waits(self) -> bool:
        """Whether the tenant may be unable to write until this move is carried on."""
        return is_urgent(self.move)

    def heed(self, move: Move) -> None:
        """What was read of it meanwhile: an operator may have asked for something."""
        self._claim.heed(move)
