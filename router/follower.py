"""Keeps the table like the directory's cache: a snapshot first, then every change in order.

When the cache is away the table stays as it is and the follower tries again; serving never waits for it.
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


class Follower:
    """One step at a time; `runtime.tasks` calls `step` again and again."""

    def __init__(self, feed: Feed, table: Table, wait_seconds: float = WAIT_SECONDS) -> None:
        self._feed, self._table, self._wait_seconds = feed, table, wait_seconds
        self._in_step = False
        self._answered = False
        self._trouble: str | None = "not reached yet"
        self._refused: Doubt | None = None
        self._confirmed_at: float | None = None
        self._gap_at: int | None = None
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
        """Read the snapshot if need be, then the next changes. Unavailable, BadSnapshot: try again later."""
        try:
            if not self._in_step:
                await self._begin()
                self.heard.set()
            await self._follow()
        except (Unavailable, BadSnapshot) as error:
            self._trouble = str(error)
            self.heard.set()
            raise
        except (Gap, OutOfOrder) as gap:
            again = self._gap_at == self._table.seq
            self._in_step, self._gap_at, self._trouble = False, self._table.seq, str(gap)
            metrics.GAPS.inc()
            log.warning("table_gap", reason=str(gap), seq=self._table.seq)
            if again:
                raise  # the snapshot did not fill it: no hurry to read it once more

    async def _begin(self) -> None:
        snapshot = await self._feed.snapshot()
        self._answered = True
        if snapshot is None:
            self.heard.set()
            self._trouble = "the cache is empty"
            await self._wait_for_first()
            return
        self._adopt(snapshot)
        self._in_step = True

    async def _wait_for_first(self) -> None:
        # Whatever arrives, or a gap, means that there may be a snapshot now.
        try:
            await self._feed.changes(self._table.seq, min(self._wait_seconds, RETRY_SECONDS))
        except Gap:
            return

    def _adopt(self, snapshot: Snapshot) -> None:
        try:
            self._table.adopt(snapshot, "directory")
        except SnapshotRefused as refused:
            # One that is merely behind us is normal, as long as the stream goes on from where we are.
            if refused.reason is Doubt.OLDER and self._gap_at is None:
                return
            self._refused = refused.reason
            self._trouble = f"its snapshot is refused: {refused}"
            metrics.SNAPSHOTS_REFUSED.labels(refused.reason.name.lower()).inc()
            log.error(
                "snapshot_refused",
                reason=str(refused),
                seq=snapshot.seq,
                tenants=len(snapshot.tenants),
                known_seq=self._table.seq,
                known_tenants=len(self._table),
            )
            raise Unavailable(self._trouble) from refused
        else:
            log.info("snapshot_adopted", seq=snapshot.seq, tenants=len(snapshot.tenants))

    async def _follow(self) -> None:
        if not self._in_step:
            return
        changes = await self._feed.changes(self._table.seq, self._wait_seconds)
        for change in changes:
            self._table.apply(change)
        self._trouble, self._refused, self._gap_at = None, None, None
        self._confirmed_at = time.monotonic()
        metrics.TABLE_CONFIRMED.set_to_current_time()

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
