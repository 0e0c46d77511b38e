"""Claims moves and has them carried, a few at a time; several movers may do so beside each other.

A lease only says who tries. What a mover may still do is decided by its token, in the directory and in both
databases: one that was asleep for an hour wakes up, is told that it is outdated, and has done no harm.
"""

import asyncio
import random
import secrets
import socket
import time

from directory.errors import DirectoryError, NotFound, Stale
from directory.errors import Unavailable as DirectoryAway
from directory.moves import Moves
from directory.truth import Directory
from directory.values import Move, MoveChange
from migration import metrics
from migration.carrier import Carrier
from migration.claim import Paused
from migration.databases import Databases
from migration.errors import Obstacle, Superseded, Unavailable
from migration.pacing import Paces
from runtime import logs
from runtime.backoff import Backoff
from runtime.health import Unhealthy
from runtime.tasks import Tasks

log = logs.get("migration.mover")
_AGAIN = Backoff(initial_seconds=0.5, cap_seconds=30.0, floor_seconds=0.2)
OBSTACLE_SECONDS = 30.0
"""Until it is looked at again whether somebody has cleared the way."""
URGENT_SECONDS = 0.3
"""At most, until a move for which its tenant waits is tried again."""
LOOK_AGAIN_SECONDS = 1.0
"""At most, until a directory that was away is asked again."""
LET_GO_AGAIN_SECONDS = 0.2
FORGET_SECONDS = 600.0
"""About so often moves that ended long ago are removed,"""
FORGET_MOST = 200
"""so many in one transaction."""
RENEWALS = 3
"""In the time of a lease, so that one may fail."""


class Mover:
    """One program's share of the moves."""

    def __init__(
        self,
        moves: Moves,
        directory: Directory,
        databases: Databases,
        paces: Paces,
        *,
        most: int,
        most_of_a_cell: int,
        lease_seconds: float,
        look_seconds: float,
        keep_seconds: float,
    ) -> None:
        self._moves, self._directory, self._databases, self._paces = moves, directory, databases, paces
        self._most, self._most_of_a_cell = most, most_of_a_cell
        self._lease_seconds, self._look_seconds, self._keep_seconds = lease_seconds, look_seconds, keep_seconds
        self._owner = f"{socket.gethostname()[:40]}-{secrets.token_hex(3)}"
        self._tasks = Tasks()
        self._lacking: int | None = None
        """The upgrade of the directory that it waits for."""
        self._fits = False
        """Whether the directory was seen to have all that is needed: what an upgrade brought stays."""
        self._carried: set[str] = set()
        self._failures: dict[str, int] = {}
        """By move, how often in a row it could not be carried on."""
        self._free = asyncio.Event()
        self._free.set()

    def __repr__(self) -> str:
        return f"<Mover {self._owner} with {len(self._carried)} of {self._most}>"

    async def start(self) -> None:
        """Look for something to do from now on."""
        self._tasks.keep("forget moves", self._forget, Backoff(initial_seconds=1.0, cap_seconds=FORGET_SECONDS))
        self._tasks.keep(
            "look for moves", self._look, Backoff(initial_seconds=0.2, cap_seconds=LOOK_AGAIN_SECONDS)
        )

    async def stop(self) -> None:
        """Let go of everything: somebody else, or this program's successor, goes on at once."""
        carried = set(self._carried)
        await self._tasks.close()
        await self._paces.close()
        if carried:
            log.info("moves_left", moves=len(carried))

    async def check(self) -> str | None:
        """For `/health/ready`."""
        if self._lacking is not None:
            raise Unhealthy(_waits_for(self._lacking))
        return None

    async def _look(self) -> None:
        await self._free.wait()
        if not self._fits and not await self._is_fit():
            await asyncio.sleep(self._look_seconds)
            return
        move = await self._moves.claim(self._owner, self._lease_seconds, self._most_of_a_cell)
        if move is None:
            await asyncio.sleep(self._look_seconds * random.uniform(0.7, 1.0))  # noqa: S311 jitter
            return
        self._carried.add(move.move_id)
        metrics.CARRIED.set(len(self._carried))
        if len(self._carried) >= self._most:
            self._free.clear()
        self._tasks.spawn(f"move {move.move_id}", self._carry(move))

    async def _is_fit(self) -> bool:
        """Whether the directory has what moves need: without it one could be neither ended nor undone."""
        lacking = await self._moves.missing_upgrade()
        if lacking is not None and lacking != self._lacking:
            log.warning("moves_not_claimed", reason=_waits_for(lacking))
        if lacking is None and self._lacking is not None:
            log.info("directory_upgraded")
        self._lacking, self._fits = lacking, lacking is None
        return self._fits

    async def _forget(self) -> None:
        """Whoever comes first removes what is due; the others find nothing."""
        if forgotten := await self._moves.forget_ended(self._keep_seconds, FORGET_MOST):
            log.info("moves_forgotten", moves=forgotten)
        if forgotten < FORGET_MOST:
            await asyncio.sleep(FORGET_SECONDS * random.uniform(0.7, 1.0))  # noqa: S311 jitter

    async def _carry(self, move: Move) -> None:
        with logs.bound(move=move.move_id, tenant=move.tenant_id, token=move.token):
            log.info("move_claimed", phase=move.phase, source=move.source, destination=move.destination)
            carrier = Carrier(self._moves, self._directory, self._databases, self._paces, move)
            renewing = self._tasks.spawn(f"lease of {move.move_id}", self._renew(carrier, asyncio.current_task()))
            try:
                await self._until_let_go(carrier)
            except asyncio.CancelledError:
                await asyncio.shield(self._let_go(carrier, 0.0))
                raise
            finally:
                renewing.cancel()
                self._carried.discard(move.move_id)
                metrics.CARRIED.set(len(self._carried))
                self._free.set()

    async def _until_let_go(self, carrier: Carrier) -> None:
        began = time.monotonic()
        try:
            wait_seconds = await carrier.carry()
            self._failures.pop(carrier.move.move_id, None)
        except Paused:
            log.info("move_paused")
            wait_seconds = 0.0
        except (Superseded, Stale, NotFound) as error:
            metrics.LET_GO.labels("superseded").inc()
            log.warning("move_superseded", reason=str(error))
            # Only a word that came late, perhaps: then it is ours, and must not wait for its lease to run out.
            await self._tell(carrier, str(error))
            wait_seconds = OBSTACLE_SECONDS
        except Obstacle as obstacle:
            metrics.LET_GO.labels("obstacle").inc()
            log.error("move_obstructed", phase=carrier.move.phase, reason=str(obstacle))
            await self._tell(carrier, str(obstacle))
            wait_seconds = OBSTACLE_SECONDS
        except (Unavailable, DirectoryError) as error:
            metrics.LET_GO.labels("unavailable").inc()
            failures = self._failures.get(carrier.move.move_id, 0)
            self._failures[carrier.move.move_id] = failures + 1
            log.warning("move_interrupted", phase=carrier.move.phase, reason=str(error), failures=failures + 1)
            await self._tell(carrier, str(error))
            wait_seconds = _AGAIN.wait_seconds(failures, random.random())  # noqa: S311 jitter
        except Exception as error:
            metrics.LET_GO.labels("fault").inc()
            log.exception("move_failed", phase=carrier.move.phase, seconds=round(time.monotonic() - began, 1))
            await self._tell(carrier, f"a fault of the mover, see its log: {error!r}")
            wait_seconds = OBSTACLE_SECONDS
        if carrier.tenant_waits:
            wait_seconds = min(wait_seconds, URGENT_SECONDS)
        await self._let_go(carrier, wait_seconds, self._lease_seconds)

    async def _tell(self, carrier: Carrier, error: str) -> None:
        """What is in its way, for whoever looks at it. Whoever carries it by now says it himself."""
        try:
            await self._moves.note(carrier.move.move_id, carrier.move.token, MoveChange(error=error))
        except DirectoryError as reason:
            log.info("not_told", reason=str(reason))

    async def _let_go(self, carrier: Carrier, wait_seconds: float, most_seconds: float = 0.0) -> None:
        """Asked again for so long while the directory is away: its tenant waits no longer than it must."""
        end = time.monotonic() + most_seconds
        while True:
            try:
                await self._moves.let_go(
                    carrier.move.move_id, carrier.move.token, wait_seconds, carrier.claimed.wish
                )
            except DirectoryAway as reason:
                if time.monotonic() > end:
                    log.info("lease_runs_out", reason=str(reason))
                    return
                await asyncio.sleep(LET_GO_AGAIN_SECONDS)
                continue
            except DirectoryError as reason:
                log.info("not_ours_to_let_go", reason=str(reason))
            return

    async def _renew(self, carrier: Carrier, carrying: "asyncio.Task[None] | None") -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS)
            try:
                move = await self._moves.renew(carrier.move.move_id, carrier.move.token, self._lease_seconds)
            except DirectoryAway as reason:
                log.info("lease_not_renewed", reason=str(reason))
            except DirectoryError as reason:
                # Somebody else carries it: what is under way is refused everywhere, and need not go on.
                log.warning("move_superseded", reason=str(reason))
                if carrying is not None:
                    carrying.cancel()
                return
            else:
                carrier.heed(move)


def _waits_for(upgrade: int) -> str:
    return (
        f"the directory's schema is older than this mover needs: it lacks upgrade {upgrade:04d}, "
        "and no move is claimed before a placement of this version has applied it"
    )
