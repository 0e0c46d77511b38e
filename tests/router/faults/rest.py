"""What every fault must leave behind: nothing."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from directory.memory_feed import MemoryFeed
from router import metrics
from router.app import Router
from tests.router.upstreams import running
from tests.waiting import eventually


@contextlib.asynccontextmanager
async def resting(feed: MemoryFeed, **settings: Any) -> AsyncIterator[Router]:
    """A router that knows its tenants, and is at rest once the test is through with it.

    So nobody has to be waited for when it ends.
    """
    async with running(feed, **{"drain_seconds": 0.01, **settings}) as router:
        await eventually(lambda: len(router.table))
        yield router
        await at_rest(router)


async def at_rest(router: Router, *, seconds: float = 10.0) -> None:
    """Nobody is connected, so by and by nothing is open, awaited, borrowed or held any more."""

    def settled() -> bool:
        found = left(router)
        assert not found, found
        return True

    await eventually(settled, seconds=seconds)


def left(router: Router) -> dict[str, int]:
    """What is not at rest, by name. Kept connections are closed: whatever is open after that leaked."""
    pools = [*router.cells.pools, *router.cells.leaving]
    for pool in pools:
        pool.close_idle(everything=True)
    lane = router.lane
    found = {
        "clients": len(lane.clients),
        "streams": len(lane.streams),
        "passages": sum(task.get_name() in ("passage", "introduction") for task in router.tasks._running),
        "open": sum(pool.open for pool in pools),
        "awaiting": sum(abs(pool.awaiting) for pool in pools),
        "waiting": sum(abs(pool.waiting) for pool in pools),
        "queued": sum(len(pool._queue) for pool in pools),
        "borrowed": sum(abs(tenant.borrowed) for tenant in lane.tenants),
        "lasting": sum(abs(tenant.lasting) for tenant in lane.tenants),
        "holds": len(lane.holds.by_tenant),
        "held": int(metrics.HELD._value.get()),
        "pipes": int(metrics.PIPES._value.get()),
        "streams shown": int(metrics.STREAMS._value.get()),
    }
    return {name: number for name, number in found.items() if number}
