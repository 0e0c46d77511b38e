"""The seam of the cache that routers follow: a snapshot and a numbered stream of changes.

The cache may be empty, old or gone. Readers get `Unavailable` or `Gap`, and go on with what they have.
"""

from collections.abc import Sequence
from typing import Protocol

from directory.values import Change, Snapshot, TenantEntry


class Feed(Protocol):
    """What routers read."""

    async def snapshot(self) -> Snapshot | None:
        """The latest snapshot, None before the first. Unavailable; BadSnapshot."""

    async def changes(self, after: int, wait_seconds: float) -> Sequence[Change]:
        """The changes after number `after`, waiting for one; empty when none came. Unavailable; Gap."""

    async def look_up(self, tenant_id: str) -> TenantEntry | None:
        """One tenant, None when there is none. Unavailable, also while the cache is empty."""


class Cache(Feed, Protocol):
    """What the publisher writes."""

    async def published(self) -> int | None:
        """The number of the last change that was published, None when the cache is empty. Unavailable."""

    async def publish(self, changes: Sequence[Change]) -> int:
        """Append changes in order; ones that are there already are skipped. Returns the last number there.

        Gap when the first does not follow the last one there. Unavailable.
        """

    async def fill(self, snapshot: Snapshot) -> None:
        """Begin anew from a snapshot, whatever was there before. Unavailable."""

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the snapshot only; the stream goes on. Unavailable."""
