"""Carries changes from the truth to the cache.

Where to go on is asked of the cache each time, and publishing a change twice does nothing. So it may be killed at
any line, and several may run at once. A cache that was emptied, or is of another directory, is filled anew.
"""

from directory.errors import Gap
from directory.feed import Cache
from directory.pointer import Position
from directory.truth import Directory
from directory.values import Snapshot
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("directory.publisher")

BATCH = 500
WAIT_SECONDS = 1.0
SNAPSHOT_EVERY = 1000
"""Changes between two snapshots in the cache. A starting router reads at most as many changes after it."""
SNAPSHOT_SHARE = 20
"""In a large directory, snapshots are as many changes apart as one part in so many of its tenants: each takes
seconds to write, and what is new waits for it."""
SNAPSHOT_SECONDS = 300.0
"""After so long a snapshot that misses any change is written anew, however few they are."""
KEPT_CHANGES = 100_000


class Publisher:
    """One step at a time; `runtime.tasks` calls `step` again and again."""

    def __init__(self, truth: Directory, cache: Cache, clock: Clock | None = None) -> None:
        self._truth, self._cache, self._clock = truth, cache, clock or SystemClock()
        self._snapshot_at: int | None = None
        """The change of the cache's snapshot, None while it may be anything."""
        self._snapshot_since = 0.0
        self._published = 0
        self._identity: str | None = None
        self._every = SNAPSHOT_EVERY

    @property
    def position(self) -> Position | None:
        """How far the cache goes, as this publisher saw it last; None before its first step."""
        return None if self._identity is None else Position(self._identity, self._published)

    async def step(self) -> int:
        """Publish what is new, or wait for it; returns the number of the last change published.

        Unavailable when either side is away: the next step begins where the cache stands.
        """
        before, last = await self._advance()
        if self._snapshot_is_old(last):
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
        identity, known = await self._truth.identity(), self._published
        before = await self._cache.published(identity)
        if before is None:
            return None, await self._fill()
        if before < known:
            # It fell back to an earlier state of its own, and its snapshot did with it.
            log.warning("cache_fell_back", seq=before, known_seq=known)
            self._snapshot_at = None
        try:
            changes = await self._truth.changes(before, BATCH)
            self._published = await self._cache.publish(identity, changes) if changes else before
        except Gap as gap:
            # The cache is ahead of the truth, older than what is kept, or was emptied this moment.
            log.warning("cache_refilled", reason=str(gap))
            return None, await self._fill()
        self._identity = identity
        return before, self._published

    async def _fill(self) -> int:
        snapshot = await self._truth.snapshot()
        await self._cache.fill(snapshot)
        self._wrote(snapshot)
        self._published, self._identity = snapshot.seq, snapshot.identity
        log.info("cache_filled", seq=snapshot.seq, tenants=len(snapshot.tenants))
        return snapshot.seq

    def _snapshot_is_old(self, last: int) -> bool:
        if self._snapshot_at is None or last - self._snapshot_at >= self._every:
            return True
        return last > self._snapshot_at and self._clock.monotonic() - self._snapshot_since >= SNAPSHOT_SECONDS

    async def _put_snapshot(self) -> None:
        snapshot = await self._truth.snapshot()
        try:
            await self._cache.put_snapshot(snapshot)
        except Gap as gap:
            log.warning("snapshot_outrun", reason=str(gap), seq=snapshot.seq)
            return  # the cache was emptied or filled meanwhile: the next step sees what is needed
        self._wrote(snapshot)
        await self._truth.forget_changes(KEPT_CHANGES)

    def _wrote(self, snapshot: Snapshot) -> None:
        self._snapshot_at, self._snapshot_since = snapshot.seq, self._clock.monotonic()
        self._every = min(max(SNAPSHOT_EVERY, len(snapshot.tenants) // SNAPSHOT_SHARE), KEPT_CHANGES // 2)
