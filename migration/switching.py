"""The switch: from the source's fence to the destination's, while the tenant's writers wait.

    fence the source at a fresh epoch      running writers end first, later ones are told to go elsewhere
    last step, sequences                   the destination equals the source, which nobody writes to any more
    commit                                 one compare-and-set in the directory: from now on it only goes forward
    open the destination                   at the epoch of the commit, captured from its first write

Routers hold the tenant's requests from the first that is told to go elsewhere, and follow the directory's change.
If it takes longer than it may, up to the commit's answer, the directory decides otherwise (`release`), and the
source is opened again at the epoch of that decision. Whatever happens, the decision comes first and the fence
follows it; and both are tried again and again, because the tenant waits for them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from directory.errors import DirectoryError, Stale
from directory.errors import Unavailable as DirectoryAway
from directory.rules.moves import is_to_be_reopened
from directory.values import MoveChange
from migration import fences, metrics, sequences
from migration.claim import Claim
from migration.errors import Lost, Obstacle, Unavailable
from migration.stepping import Stepped, step
from migration.streams import both
from runtime import logs

log = logs.get("migration.switch")
FENCE_SHARE = 0.4
"""Of the longest pause, how long the fence may wait for the source's writers."""
TRY_SECONDS = 1.0
"""For a try at what a tenant waits for: a connection that hangs must not be what it waits for. The next one
has twice as long, so that what is only slow comes to an end."""
TRY_AGAIN_SECONDS = 0.05
MOST_SECONDS = 5.0
"""Then it is let go: another mover may reach what this one does not."""
OPENING_LOCK_MS = 300
"""Writers that come queue behind an opening that waits for others, so it does not wait for long."""
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of an attempt. The claim's move is COMMITTED, or released."""

    pause_ms: float
    reason: str = ""
    """Why it was given up."""


async def attempt(claim: Claim) -> Switched:
    """One, in a move that is READY and whose switch nobody else in its cells has. Superseded; Stale; Unavailable.

    When it raises, the directory knows more than we do: whoever claims the move next goes on from there.
    """
    source, epoch = await claim.source(), await claim.assigned()
    most_seconds = claim.move.options.most_pause_ms / 1000
    fence_epoch = await claim.moves.fresh_epoch()
    await claim.record("fence", epochs={"fence": fence_epoch})
    began, reason = time.monotonic(), ""
    try:
        async with asyncio.timeout(most_seconds):
            await fences.flip(
                *(source, claim.move.token, fence_epoch, "fenced"),
                lock_ms=max(10, int(most_seconds * 1000 * FENCE_SHARE)),
            )
            stepped = await _last_step(claim)
            # Its answer may be lost, or late: then the directory is asked for the opposite, and says what holds.
            claim.entered(await claim.moves.commit(claim.move.move_id, claim.move.token, epoch))
    except (Unavailable, Obstacle, Lost, DirectoryError, TimeoutError) as error:
        reason = f"{type(error).__name__}: {error}"
        await decide_against(claim, epoch)
    if claim.move.phase == "COMMITTED":
        await open_destination(claim)
        pause_ms = (time.monotonic() - began) * 1000
        metrics.PAUSE_SECONDS.observe(pause_ms / 1000)
        log.info("switched", pause_ms=round(pause_ms, 1), keys=stepped.keys, rows=stepped.rows)
        return Switched(pause_ms)
    log.warning("switch_given_up", reason=reason)
    await open_source(claim)
    return Switched((time.monotonic() - began) * 1000, reason)


async def _last_step(claim: Claim) -> Stepped:
    """Together with the record that it is under way, which nothing of it depends on."""
    stepped, _ = await both(_step(claim), claim.record("finalize"))
    return stepped


async def _step(claim: Claim) -> Stepped:
    schema, source, destination = await claim.fitting(), await claim.source(), await claim.destination()
    since, history = await claim.since()
    token = claim.move.token
    # Nobody alters a table in the meantime: there is no next step that would notice.
    async with source.reading(standing=schema.tables) as reader, destination.writing(token) as writing:
        persist = partial(fences.persist, source, token)
        stepped = await step(reader, writing, schema, since, history=history, persist=persist)
        positions = await sequences.read_positions(reader, schema)
        await sequences.raise_sequences(writing, schema, positions)
    return stepped


async def decide_against(claim: Claim, epoch: int) -> None:
    """Nothing else is needed for it, whatever else is away. An attempt that was decided already is left as it is.

    Stale: somebody else carries the move.
    """
    move = claim.move
    try:
        decided = await _urgently(lambda: claim.moves.release(move.move_id, move.token, epoch))
    except Stale:
        decided = await _urgently(lambda: claim.moves.move(move.move_id))
        if (decided.token, decided.phase) != (move.token, "COMMITTED"):
            raise
    else:
        metrics.RELEASED.inc()
    claim.entered(decided)


async def open_source(claim: Claim) -> None:
    """After a decision against a switch, whoever died before it was open. Again, it does nothing."""
    if not is_to_be_reopened(claim.move):
        return
    source, epoch = await claim.source(), claim.move.epochs["released"]
    known = await _urgently(lambda: fences.look(source))
    if known is None or known.epoch < epoch:
        await _urgently(lambda: fences.flip(source, claim.move.token, epoch, "active", lock_ms=OPENING_LOCK_MS))
    claim.move = await claim.moves.note(claim.move.move_id, claim.move.token, MoveChange(epochs={"opened": epoch}))


async def open_destination(claim: Claim) -> None:
    """By the decision that was made; captured, so that there is a way back. Again, it does nothing."""
    destination, epoch = await claim.destination(), claim.move.epochs["commit"]
    captured = claim.move.options.reverse_seconds > 0
    await _urgently(
        lambda: fences.flip(
            *(destination, claim.move.token, epoch, "active"), captured=captured, lock_ms=OPENING_LOCK_MS
        )
    )


async def _urgently(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Because the tenant waits for it: each try with a deadline, and the next one at once."""
    began, seconds, is_told = time.monotonic(), TRY_SECONDS, False
    while True:
        try:
            async with asyncio.timeout(seconds):
                return await work()
        except (Unavailable, DirectoryAway, TimeoutError) as error:
            reason = str(error) or f"no answer within {seconds:g} s"
            if isinstance(error, TimeoutError):
                seconds *= 2
            if not is_told:
                log.warning("tenant_waits", reason=reason)
            if time.monotonic() - began > MOST_SECONDS:
                raise Unavailable(f"the tenant waits for it: {reason}") from error
        is_told = True
        await asyncio.sleep(TRY_AGAIN_SECONDS)
