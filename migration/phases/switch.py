"""The switch: begun when it is short, decided for or against, and carried on by whoever finds it."""

from dataclasses import replace
from typing import Any

from migration import fences, switching
from migration.claim import Claim
from migration.errors import Unavailable
from migration.phases import before, way_back
from runtime import logs

log = logs.get("migration")
HELD_SECONDS = 1.0
"""Between two steps of a move that waits before its switch."""
AGAIN_SECONDS = 0.5
"""Until somebody else's switch in the same cell may be over."""
WRITERS_SHARE = 0.4
"""Of the pause's budget, how long writers are waited for before the fence."""
SWITCH_SECONDS = 10.0
"""For which nobody else switches in the same cells."""


async def ready(claim: Claim) -> float | None:
    """Keep the difference small until the switch may begin; then switch."""
    stepped = await before.step(claim)
    if claim.move.options.hold and claim.move.wish != "switch":
        await claim.goes_on()
        return HELD_SECONDS
    await claim.check_destination()
    if stepped.keys > before.SMALL_KEYS:
        await claim.record("catch_up")
        return None
    if not await claim.moves.take_switch(claim.move.move_id, claim.move.token, SWITCH_SECONDS):
        return AGAIN_SECONDS
    try:
        # Those that are long at it would hold up the switch, and whoever is told to go elsewhere by then.
        lock_ms = max(10, int(claim.move.options.pause_budget_ms * WRITERS_SHARE))
        await fences.await_writers(await claim.source(), lock_ms=lock_ms)
    except Unavailable as error:
        log.info("writers_in_the_way", cell=claim.move.source, reason=str(error))
        await claim.is_held_up(f"the switch waits: {await fences.tell_writers(await claim.source())}")
        return AGAIN_SECONDS
    await before.step(claim)
    switched = await switching.attempt(claim)
    if claim.move.phase != "COMMITTED":
        claim.notes = None
        raise Unavailable(f"the switch was given up after {switched.pause_ms:.0f} ms: {switched.reason}")
    claim.notes = replace(await claim.known(), snapshot=None)
    await _activate(claim, pause_ms=round(switched.pause_ms, 1))
    return None


async def undecided(claim: Claim) -> None:
    """Somebody died between fence and decision: decide against it, and begin the switch anew."""
    await switching.decide_against(claim, await claim.assigned())


async def committed(claim: Claim) -> None:
    """Somebody died between decision and opening."""
    await switching.open_destination(claim)
    await _activate(claim, text="opened by a successor")


async def _activate(claim: Claim, **change: Any) -> None:
    kept = claim.move.options.reverse_seconds
    origin = await way_back.origin_of(await claim.destination()) if kept else None
    await claim.record("activate", progress={way_back.WAY_BACK: origin}, **change)
