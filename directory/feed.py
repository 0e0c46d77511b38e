"""The seam of the cache that routers follow: a snapshot and a numbered stream of changes.

The cache may be empty, old or gone, or hold what another directory put there. Numbers mean something only together
with the identity of the directory that counts them, so whoever continues from a number names both. Readers get
`Unavailable` or `Gap`, and go on with what they have.
"""

from collections.abc import Sequence
from typing import Protocol

from directory.values import Change, Snapshot, TenantEntry


class Feed(Protocol):
    """What routers read."""

    async def snapshot(self) -> Snapshot | None:
        """The latest snapshot, of whatever directory; None while the cache is empty. Unavailable; BadSnapshot.

        It was checked to its last byte. Nobody may change it: others may have been given the same one.
        """

    async def changes(self, identity: str, after: int, wait_seconds: float) -> Sequence[Change]:
        """The changes of directory `identity` after number `after`, waiting for one; empty when none came.

        Gap when they are not kept, the stream ends before `after`, the cache is empty or of another directory.
        Unavailable.
        """

    async def look_up(self, tenant_id: str, identity: str | None = None) -> TenantEntry | None:
        """One tenant, None when there is none; `identity` None: of whatever directory.

        Unavailable, also while the cache is empty or of another directory: then nobody can tell.
        """


class Cache(Feed, Protocol):
    """What the publisher writes."""

    async def published(self, identity: str) -> int | None:
        """The number of the last change of `identity` that was published. Unavailable.

        None when the cache is empty, or of another directory.
        """

    async def publish(self, identity: str, changes: Sequence[Change]) -> int:
        """Append changes in order; ones that are there already are skipped. Returns the last number there.

        Gap when the first does not follow the last one there, the cache is empty or of another directory.
        Unavailable.
        """

    async def fill(self, snapshot: Snapshot) -> None:
        """Begin anew from a snapshot, whatever was there before; all of it or nothing. Unavailable."""

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the snapshot only; the stream goes on.

        Gap when the stream does not go on from it, or the cache is of another directory. Unavailable.
        """
