"""Carries changes from the truth to the cache.

It keeps no state of its own: where to go on is asked of the cache each time, and publishing a change twice does
nothing. So it may be killed at any line, and several may run at once. A cache that was emptied is filled anew.
"""

from directory.errors import Gap
from directory.feed import Cache
from directory.truth import Directory
from runtime import logs

log = logs.get("directory.publisher")

BATCH = 500
WAIT_SECONDS = 1.0
SNAPSHOT_EVERY = 1000
"""Changes between two snapshots in the cache. A starting router reads at most as many changes after it."""
KEPT_CHANGES = 100_000


class Publisher:
    """One step at a time; `runtime.tasks` calls `step` again and again."""

    def __init__(self, truth: Directory, cache: Cache) -> None:
        self._truth = truth
        self._cache = cache
        self._snapshot_at: int | None = None

    async def step(self) -> int:
        """Publish what is new, or wait for it; returns the number of the last change published.

        Unavailable when either side is away: the next step begins where the cache stands.
        """
        before, last = await self._advance()
        if self._snapshot_at is None or last - self._snapshot_at >= SNAPSHOT_EVERY:
            await self._put_snapshot()
        if last == before:
            await self._truth.wait(last, WAIT_SECONDS)
        return last

    async def flush(self) -> None:
        """Publish everything that is recorded by now, so that whoever is answered next finds routers told.

        Unavailable when either side is away; then routers are told once both are back.
        """
        head = await self._truth.head()
        last = -1
        while last < head:
            before, last = await self._advance()
            if last == before:
                return

    async def _advance(self) -> tuple[int | None, int]:
        """One batch: where the cache stood (None: it was empty, or not of this directory) and where it stands."""
        before = await self._cache.published()
        if before is None:
            return None, await self._fill()
        try:
            changes = await self._truth.changes(before, BATCH)
            return before, await self._cache.publish(changes) if changes else before
        except Gap as gap:
            # The cache comes from elsewhere, is older than what is kept, or was emptied this moment.
            log.warning("cache_refilled", reason=str(gap))
            return None, await self._fill()

    async def _fill(self) -> int:
        snapshot = await self._truth.snapshot()
        await self._cache.fill(snapshot)
        self._snapshot_at = snapshot.seq
        log.info("cache_filled", seq=snapshot.seq, tenants=len(snapshot.tenants))
        return snapshot.seq

    async def _put_snapshot(self) -> None:
        snapshot = await self._truth.snapshot()
        await self._cache.put_snapshot(snapshot)
        self._snapshot_at = snapshot.seq
        await self._truth.forget_changes(KEPT_CHANGES)
