"""The cache's twin in memory: the same promises and errors. `away` makes it behave as a Redis that is down."""

import asyncio
import contextlib
from collections.abc import Sequence

from directory.errors import Gap, Unavailable
from directory.values import Change, Snapshot, TenantEntry

KEPT_CHANGES = 100_000


class MemoryFeed:
    """`Cache` in dictionaries."""

    def __init__(self) -> None:
        self.away = False
        self._snapshot: Snapshot | None = None
        self._changes: list[Change] = []
        self._last: int | None = None
        self._tenants: dict[str, TenantEntry] = {}
        self._came = asyncio.Event()

    async def snapshot(self) -> Snapshot | None:
        self._reach()
        return self._snapshot

    async def changes(self, after: int, wait_seconds: float) -> Sequence[Change]:
        self._reach()
        if self._last is None or after >= self._last:
            self._came.clear()
            # Not `wait_for`: it swallows a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._came.wait()
            self._reach()
        if self._last is not None and after > self._last:
            raise Gap(f"the stream ends at {self._last}, before {after}")
        found = [change for change in self._changes if change.seq > after]
        if (found and found[0].seq != after + 1) or (not found and after < (self._last or 0)):
            raise Gap(f"the changes after {after} are not kept")
        return found

    async def look_up(self, tenant_id: str) -> TenantEntry | None:
        self._reach()
        if self._last is None:
            raise Unavailable("the cache is empty")
        return self._tenants.get(tenant_id)

    async def published(self) -> int | None:
        self._reach()
        return self._last

    async def publish(self, changes: Sequence[Change]) -> int:
        self._reach()
        if self._last is None:
            raise Gap("the cache is empty")
        for change in changes:
            if change.seq <= self._last:
                continue
            if change.seq != self._last + 1:
                raise Gap(f"change {change.seq} does not follow {self._last}")
            self._append(change)
        return self._last

    async def fill(self, snapshot: Snapshot) -> None:
        self._reach()
        self._snapshot, self._last = snapshot, snapshot.seq
        self._changes = []
        self._tenants = dict(snapshot.tenants)
        self._came.set()

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        self._reach()
        self._snapshot = snapshot

    def _append(self, change: Change) -> None:
        self._changes = [*self._changes[-KEPT_CHANGES:], change]
        self._last = change.seq
        if isinstance(change.entry, TenantEntry):
            if change.entry.cell_id is None:
                self._tenants.pop(change.entry.tenant_id, None)
            else:
                self._tenants[change.entry.tenant_id] = change.entry
        self._came.set()

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("the cache is away")
