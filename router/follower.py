"""Keeps the table like the directory's cache: every change in order, and a snapshot where the order has a gap.

The stream is asked first, each time: as long as it goes on from where the table stands, nothing has to be
believed, and what the snapshot says does not matter. Without a table, or at a gap, the snapshot is read, which may
be refused; then both are tried again until one of them is of use. When the cache is away the table stays as it is;
serving never waits for it.
"""

import asyncio
import time

from directory.errors import BadSnapshot, Gap, Unavailable
from directory.feed import Feed
from directory.values import Snapshot
from router import metrics
from router.errors import OutOfOrder, SnapshotRefused
from router.rules.adoption import Doubt
from router.table import Table
from runtime import logs
from runtime.health import Unhealthy

log = logs.get("router.follower")

WAIT_SECONDS = 5.0
RETRY_SECONDS = 0.5
AT_ONCE = 50
"""Changes that are taken before others get their turn: less than a millisecond's work."""


class Follower:
    """One step at a time; `runtime.tasks` calls `step` again and again."""

    def __init__(self, feed: Feed, table: Table, wait_seconds: float = WAIT_SECONDS) -> None:
        self._feed, self._table, self._wait_seconds = feed, table, wait_seconds
        self._answered = False
        self._trouble: str | None = "not reached yet"
        self._refused: Doubt | None = None
        self._confirmed_at: float | None = None
        self.heard = asyncio.Event()
        """Set once the cache gave an answer, or turned out to be away."""

    @property
    def refused(self) -> Doubt | None:
        """Why the last snapshot was not believed, None when it was."""
        return self._refused

    @property
    def trouble(self) -> str | None:
        """Why the directory's cache is not followed at the moment, None when it is."""
        return self._trouble

    @property
    def age_seconds(self) -> float | None:
        """How long ago the cache last confirmed the table; None when it never did."""
        return None if self._confirmed_at is None else time.monotonic() - self._confirmed_at

    async def step(self) -> None:
        """Take the next changes, or the snapshot where they cannot be had.

        Unavailable, BadSnapshot: neither is of use now, and the table is as it was; try again later.
        """
        try:
            if not await self._follow():
                await self._begin()
        except (Unavailable, BadSnapshot) as error:
            self._trouble = str(error)
            raise
        finally:
            self.heard.set()

    async def _follow(self) -> bool:
        """Whether the stream goes on from where the table stands; what it had is in the table then."""
        if self._table.identity is None:
            return False
        # Whoever waits for the first answer must not wait for a change as well.
        wait_seconds = self._wait_seconds if self.heard.is_set() else 0.0
        try:
            for change in await self._feed.changes(self._table.identity, self._table.seq, wait_seconds):
                self._table.apply(change)
                if change.seq % AT_ONCE == 0:
                    await asyncio.sleep(0)
        except (Gap, OutOfOrder) as gap:
            self._trouble = str(gap)
            metrics.GAPS.inc()
            log.warning("table_gap", reason=str(gap), seq=self._table.seq)
            return False
        self._trouble, self._refused = None, None
        self._confirmed_at = time.monotonic()
        metrics.TABLE_CONFIRMED.set_to_current_time()
        return True

    async def _begin(self) -> None:
        """Begin anew from the snapshot. Unavailable when it is refused, or leads nowhere new."""
        stood = self._table.identity, self._table.seq
        snapshot = await self._feed.snapshot()
        self._answered = True
        if snapshot is None:
            self._trouble = "the cache is empty"
            self.heard.set()
            await asyncio.sleep(min(self._wait_seconds, RETRY_SECONDS))
            return
        await self._adopt(snapshot)
        if stood == (snapshot.identity, snapshot.seq):
            raise Unavailable(
                f"its snapshot is of change {snapshot.seq} too, and so does not fill it: {self._trouble}"
            )
        self._trouble = None

    async def _adopt(self, snapshot: Snapshot) -> None:
        try:
            await self._table.adopt_in_turns(snapshot, "directory")
        except SnapshotRefused as refused:
            self._refused = refused.reason
            metrics.SNAPSHOTS_REFUSED.labels(refused.reason.name.lower()).inc()
            log.error(
                "snapshot_refused",
                reason=str(refused),
                seq=snapshot.seq,
                tenants=len(snapshot.tenants),
                known_seq=self._table.seq,
                known_tenants=len(self._table),
            )
            raise Unavailable(f"{self._trouble}; and its snapshot is refused: {refused}") from refused
        log.info("snapshot_adopted", seq=snapshot.seq, tenants=len(snapshot.tenants))

    async def check_table(self) -> str | None:
        """Ready as soon as there is a table, or the directory said that there is none yet."""
        if self._table.identity is None and not self._answered:
            raise Unhealthy("no table yet: neither the directory's cache nor a snapshot on disk gave one")
        return f"{len(self._table)} tenants at change {self._table.seq}, from {self._table.source}"

    async def check_directory(self) -> str | None:
        """Whether changes arrive. Not required: the router serves on without."""
        if self._trouble is not None:
            raise Unhealthy(self._trouble)
        return None
