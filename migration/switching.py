"""The switch: from the source's fence to the destination's, while the tenant's writers wait.

    fence the source at a fresh epoch      running writers end first, later ones are told to go elsewhere
    last step, sequences                   the destination equals the source, which nobody writes to any more
    commit                                 one compare-and-set in the directory: from now on it only goes forward
    open the destination                   at the epoch of the commit, captured from its first write

Routers hold the tenant's requests from the first that is told to go elsewhere, and follow the directory's change.
If it takes longer than it may, the directory decides otherwise (`release`), and the source is opened again at the
epoch of that decision. Whatever happens, the decision comes first and the fence follows it.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from directory.errors import DirectoryError
from directory.moves import Moves
from directory.rules.moves import MoveStep
from directory.values import Move, MoveChange
from migration import fences, metrics, sequences
from migration.ends import End
from migration.errors import Lost, Obstacle, Unavailable
from migration.rules.tables import Schema
from migration.stepping import Stepped, step
from migration.streams import both
from runtime import logs

log = logs.get("migration.switch")
FENCE_SHARE = 0.4
"""Of the longest pause, how long the fence may wait for the source's writers."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of it."""

    move: Move
    committed: bool
    pause_ms: float
    reason: str = ""
    """Why it was given up."""


class Switch:
    """One attempt, in a move that is READY and whose switch nobody else in its cells has."""

    def __init__(self, moves: Moves, move: Move, source: End, destination: End, schema: Schema) -> None:
        self._moves, self.move = moves, move
        self._source, self._destination, self._schema = source, destination, schema

    async def run(self, epoch: int, since: str, history: str) -> Switched:
        """`epoch`: of the tenant's assignment; `since`: what the destination equals. Superseded; Unavailable.

        When it raises, the directory knows more than we do: whoever claims the move next goes on from there.
        """
        most_seconds = self.move.options.most_pause_ms / 1000
        fence_epoch = await self._moves.fresh_epoch()
        await self._record("fence", {"fence": fence_epoch})
        began = time.monotonic()
        try:
            async with asyncio.timeout(most_seconds):
                await fences.flip(
                    *(self._source, self.move.token, fence_epoch, "fenced"),
                    lock_ms=max(10, int(most_seconds * 1000 * FENCE_SHARE)),
                )
                stepped = await self._last_step(since, history)
        except (Unavailable, Obstacle, Lost, TimeoutError) as error:
            return await self._give_up(epoch, began, f"{type(error).__name__}: {error}")
        await self._commit(epoch)
        if self.move.phase != "COMMITTED":
            return await self._give_up(epoch, began, "the directory refused the commit")
        await open_destination(self._destination, self.move)
        pause_ms = (time.monotonic() - began) * 1000
        metrics.PAUSE_SECONDS.observe(pause_ms / 1000)
        log.info("switched", pause_ms=round(pause_ms, 1), keys=stepped.keys, rows=stepped.rows)
        return Switched(self.move, True, pause_ms)

    async def _last_step(self, since: str, history: str) -> Stepped:
        """Together with the record that it is under way, which nothing of it depends on."""
        stepped, _ = await both(self._step(since, history), self._record("finalize"))
        return stepped

    async def _step(self, since: str, history: str) -> Stepped:
        # Nobody alters a table in the meantime: there is no next step that would notice.
        reading = self._source.reading(standing=self._schema.tables)
        async with reading as reader, self._destination.writing(self.move.token) as writing:
            persist = partial(fences.persist, self._source, self.move.token)
            stepped = await step(reader, writing, self._schema, since, history=history, persist=persist)
            positions = await sequences.read_positions(reader, self._schema)
            await sequences.raise_sequences(writing, self._schema, positions)
        return stepped

    async def _record(self, event: MoveStep, epochs: Mapping[str, int] | None = None) -> None:
        change = MoveChange(epochs=epochs)
        self.move = await self._moves.record(self.move.move_id, self.move.token, event, change)

    async def _commit(self, epoch: int) -> None:
        """Never assume what became of a commit: when its answer is lost, the directory is read again."""
        try:
            self.move = await self._moves.commit(self.move.move_id, self.move.token, epoch)
        except DirectoryError as error:
            log.warning("commit_refused", error=repr(error))
            self.move = await self._moves.move(self.move.move_id)

    async def _give_up(self, epoch: int, began: float, reason: str) -> Switched:
        log.warning("switch_given_up", reason=reason)
        self.move = await release(self._moves, self.move, epoch, self._source)
        return Switched(self.move, False, (time.monotonic() - began) * 1000, reason)


async def release(moves: Moves, move: Move, epoch: int, source: End) -> Move:
    """Decide against a switch, and open the source again: nothing else is needed, whatever else is away.

    An attempt that is over already is left as it is.
    """
    released = await moves.release(move.move_id, move.token, epoch)
    metrics.RELEASED.inc()
    await open_source(source, released)
    return released


async def open_source(source: End, move: Move) -> None:
    """By the decision against a switch. Again, it does nothing."""
    await fences.flip(source, move.token, move.epochs["released"], "active")


async def open_destination(destination: End, move: Move) -> None:
    """By the decision that was made; captured, so that there is a way back. Again, it does nothing."""
    await fences.flip(
        *(destination, move.token, move.epochs["commit"], "active"), captured=move.options.reverse_seconds > 0
    )
