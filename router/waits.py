"""What a request may have to wait for: a look-up of its tenant, a hold, a connection to its cell.

Each of these goes on with the request when the wait is over, and raises what the client is to be told otherwise:
an ApiError, or Unreached for `rules/decide`.
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from router.errors import Unreached, no_such_tenant, unavailable
from router.holds import HoldFull, HoldOver
from router.look_ups import Away
from router.rules.decide import Outcome
from router.upstream.pool import Pool
from runtime.api.problem import ApiError, unauthenticated

if TYPE_CHECKING:
    from router.passage import Passage

LEAST_PAUSE_SECONDS = 0.005
"""Between two attempts of a tenant that was seen to move,"""
PAUSE_SHARE = 0.125
"""and as much of the time that it has waited already: so much longer it waits than its next cell takes to open."""


async def looked_up(passage: "Passage") -> None:
    """A tenant that the table does not have."""
    tenant = passage.found.tenant
    try:
        entry = await passage.lane.look_ups.find(tenant.decode())
    except Away as away:
        raise unavailable("the directory cannot be asked for this tenant now") from away
    if entry is None or passage.lane.tenants.find(tenant, monotonic()) is None:
        raise _nobody(passage)
    passage.go(monotonic())


def _nobody(passage: "Passage") -> ApiError:
    """Exactly what a cell says to a key that it does not know: names cannot be tried out."""
    return unauthenticated() if passage.found.by_key else no_such_tenant()


async def connected(passage: "Passage", pool: Pool, *, fresh: bool = False) -> None:
    """A connection to be opened, or to come free."""
    tenant = passage.tenant
    if tenant is None:
        raise RuntimeError("a connection was asked for before the tenant was known")
    passage.pool = pool
    deadline = asyncio.timeout(passage.lane.response_seconds)
    try:
        async with deadline:
            with pool.awaited(deadline):
                connection = await pool.take(tenant, fresh=fresh)
    except TimeoutError:
        raise Unreached(Outcome.DOWN if pool.state == "stopped" else Outcome.BUSY) from None
    passage.send(pool, connection, monotonic())


async def held(passage: "Passage") -> None:
    """The end of the tenant's hold; or this request's turn to find out where the tenant lives."""
    body = passage.body
    kept_bytes = len(body.kept) if body is not None and body.kept is not None else 0
    holds = passage.lane.holds
    try:
        passage.pilot = await holds.wait(passage.found.tenant, kept_bytes, _hold_ends_at(passage))
    except HoldFull:
        raise unavailable("the tenant is being moved, and too many of its requests wait already") from None
    except HoldOver:
        raise unavailable("the tenant is being moved, which takes unusually long") from None
    await _sent_anew(passage)


async def healed(passage: "Passage") -> None:
    """After a 421: hold the tenant's requests, find out where it lives now, and try again."""
    tenant, lane = passage.found.tenant, passage.lane
    if not passage.pilot and not lane.holds.begin(tenant):
        await held(passage)
        return
    passage.pilot = True
    if passage.tenant is not None and passage.tenant.moved_at > monotonic() - lane.holds.limits.seconds:
        passage.moving = True
    ends_at = _hold_ends_at(passage)
    await lane.newer(tenant.decode(), passage.tried_epoch, _patience_seconds(passage, ends_at))
    await _sent_anew(passage)


def _hold_ends_at(passage: "Passage") -> float:
    """By the loop's clock, for all of the request's waits together."""
    if not passage.held_until:
        passage.held_until = asyncio.get_running_loop().time() + passage.lane.holds.limits.seconds
    return passage.held_until


def _patience_seconds(passage: "Passage", ends_at: float) -> float:
    """How long to wait for a newer assignment before the same cell is asked again.

    A cell that knows a later epoch than this router was fenced for a move, whose decision is yet to come; and one
    that a tenant has just moved to opens any moment. Else it is this router that may be ahead of the cell.
    """
    lane = passage.lane
    left = ends_at - asyncio.get_running_loop().time()
    if not passage.moving:
        return min(left, lane.refresh_seconds)
    if passage.undecided:
        passage.undecided = False
        return left
    waited_seconds = lane.holds.limits.seconds - left
    pause_seconds = max(LEAST_PAUSE_SECONDS, PAUSE_SHARE * waited_seconds)
    return min(left, pause_seconds, lane.refresh_seconds)


async def _sent_anew(passage: "Passage") -> None:
    now, lane = monotonic(), passage.lane
    tenant = lane.tenants.find(passage.found.tenant, now)
    if tenant is None:
        raise _nobody(passage)
    passage.moving = passage.moving or tenant.moved_at > now - lane.holds.limits.seconds
    passage.tenant = tenant
    pool = passage.open_to(tenant, now)
    if pool is not None:
        await connected(passage, pool)
