"""What HAProxy is to hold: every tenant's home by name, kept like the table.

The table can be asked for a tenant and not for all names, so the names are overheard where they pass: in what the
follower reads. What is written down is always the table's own answer, so its rules (no lower epoch, no refused
snapshot) hold here too.
"""

import asyncio
from collections.abc import Iterable, Sequence

from directory.feed import Feed
from directory.values import CellEntry, Change, Snapshot, TenantEntry
from router.export.plan import GONE, home
from router.follower import Follower
from router.table import Table

AT_ONCE = 5_000
"""Tenants that are compared before the loop may do something else."""


class Overheard:
    """A feed that remembers which names went through it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.tenants: set[str] = set()
        self.offered: Snapshot | None = None

    async def snapshot(self) -> Snapshot | None:
        """As the feed's; and it is remembered."""
        self.offered = await self._feed.snapshot()
        return self.offered

    async def changes(self, identity: str, after: int, wait_seconds: float) -> Sequence[Change]:
        """As the feed's; and the tenants in them are remembered."""
        found = await self._feed.changes(identity, after, wait_seconds)
        self.tenants.update(change.entry.tenant_id for change in found if isinstance(change.entry, TenantEntry))
        return found

    async def look_up(self, tenant_id: str, identity: str | None = None) -> TenantEntry | None:
        """As the feed's."""
        return await self._feed.look_up(tenant_id, identity)


class Ledger:
    """tenant → home. `changed` are those that nobody took yet."""

    def __init__(self, feed: Feed, table: Table) -> None:
        self._overheard = Overheard(feed)
        self._table = table
        self._follower = Follower(self._overheard, table)
        self._changed: set[str] = set()
        self.homes: dict[str, str] = {}
        self.version = 0
        """Grows at every change."""
        self.filled = False
        """Whether the table has been filled once."""
        self.news = asyncio.Event()
        """Set when there is something to take, or a cell may have changed; who takes it clears it."""

    def __repr__(self) -> str:
        return f"<Ledger {len(self.homes)} tenants, {len(self._changed)} changed>"

    @property
    def cells(self) -> list[CellEntry]:
        """All cells that may have tenants."""
        return [cell for cell in self._table.cells.values() if cell.state != "retired"]

    async def step(self) -> None:
        """One step of the follower, written down. Raises what it raises: Unavailable, BadSnapshot."""
        seq = self._table.seq
        try:
            await self._follower.step()
        except Exception:
            await self._write_down()
            raise
        self.filled = await self._write_down() or self.filled
        if self._table.seq != seq:
            self.news.set()

    async def _write_down(self) -> bool:
        """Whether a snapshot came, believed or not."""
        offered, self._overheard.offered = self._overheard.offered, None
        if offered is not None:
            await self._compare([*offered.tenants.keys() | self.homes.keys()])
        touched, self._overheard.tenants = self._overheard.tenants, set()
        await self._compare(list(touched))
        return offered is not None

    async def _compare(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), AT_ONCE):
            self._note(names[start : start + AT_ONCE])
            await asyncio.sleep(0)

    def _note(self, names: Iterable[str]) -> None:
        changed = [name for name in names if self.homes.get(name, GONE) != home(self._table.find(name))]
        for name in changed:
            now = home(self._table.find(name))
            if now == GONE:
                del self.homes[name]
            else:
                self.homes[name] = now
        if changed:
            self._changed.update(changed)
            self.version += 1
            self.news.set()

    def take(self) -> set[str]:
        """The tenants that changed since the last time."""
        taken, self._changed = self._changed, set()
        return taken

    def home(self, tenant_id: str) -> str:
        """A tenant's home now; GONE when it has none."""
        return self.homes.get(tenant_id, GONE)
