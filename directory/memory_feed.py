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
        self._identity: str | None = None
        self._snapshot: Snapshot | None = None
        self._changes: list[Change] = []
        self._last: int | None = None
        self._tenants: dict[str, TenantEntry] = {}
        self._came = asyncio.Event()

    async def snapshot(self) -> Snapshot | None:
        self._reach()
        return None if self._last is None else self._snapshot

    async def changes(self, identity: str, after: int, wait_seconds: float) -> Sequence[Change]:
        found = self._kept(identity, after)
        if not found and wait_seconds > 0:
            self._came.clear()
            # Not `wait_for`: it swallows a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._came.wait()
            found = self._kept(identity, after)
        return found

    def _kept(self, identity: str, after: int) -> Sequence[Change]:
        last = self._standing(identity)
        found = [change for change in self._changes if change.seq > after]
        if after > last:
            raise Gap(f"the stream ends at {last}, and the reader stands at {after}")
        if after < last and (not found or found[0].seq != after + 1):
            raise Gap(f"the changes after {after} are not kept")
        return found

    async def look_up(self, tenant_id: str, identity: str | None = None) -> TenantEntry | None:
        self._reach()
        if self._last is None:
            raise Unavailable("the cache is empty")
        if identity not in (None, self._identity):
            raise Unavailable("the cache is of another directory")
        return self._tenants.get(tenant_id)

    async def published(self, identity: str) -> int | None:
        self._reach()
        return self._last if identity == self._identity else None

    async def publish(self, identity: str, changes: Sequence[Change]) -> int:
        last = self._standing(identity)
        for change in changes:
            if change.seq <= last:
                continue
            if change.seq != last + 1:
                raise Gap(f"change {change.seq} does not follow {last}")
            self._append(change)
            last = change.seq
        return last

    async def fill(self, snapshot: Snapshot) -> None:
        self._reach()
        self._identity, self._snapshot, self._last = snapshot.identity, snapshot, snapshot.seq
        self._changes = []
        self._tenants = dict(snapshot.tenants)
        self._came.set()

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        last = self._standing(snapshot.identity)
        if snapshot.seq < last and all(change.seq != snapshot.seq + 1 for change in self._changes):
            raise Gap(f"the changes after {snapshot.seq} are not kept")
        self._snapshot = snapshot

    def _standing(self, identity: str) -> int:
        self._reach()
        if self._last is None:
            raise Gap("the cache is empty")
        if identity != self._identity:
            raise Gap("the cache is of another directory")
        return self._last

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
