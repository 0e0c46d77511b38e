"""The assignment table: every tenant's cell and epoch, in this process's memory. No I/O.

It begins from a snapshot and takes numbered changes without gaps. Its rules:

- for one tenant it never goes back to a lower epoch, whatever comes in whatever order
- a snapshot replaces everything at once, or is refused and changes nothing (`rules/adoption`)
- a tenant that was deleted stays so, even when a look-up that was under way brings it back
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from directory.values import CellEntry, Change, Snapshot, TenantEntry
from router import metrics
from router.errors import OutOfOrder, SnapshotRefused
from router.rules.adoption import Caution, doubt

Source = Literal["nothing", "disk", "directory"]
MOST_GONE = 10_000
"""Deletions that are remembered; the oldest is forgotten first."""


class Table:
    """tenant → (cell, epoch), and cell → address."""

    def __init__(self, caution: Caution | None = None) -> None:
        self._caution = caution or Caution()
        self._identity: str | None = None
        self._seq = 0
        self._cells: dict[str, CellEntry] = {}
        self._tenants: dict[str, TenantEntry] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._newer: dict[str, set[asyncio.Future[None]]] = {}
        self.source: Source = "nothing"
        self.changed = asyncio.Event()
        """Set at every change; whoever writes the table to disk clears it."""

    def __repr__(self) -> str:
        return f"<Table {len(self._tenants)} tenants at {self._seq}, from {self.source}>"

    @property
    def identity(self) -> str | None:
        """The directory's identity, None while there is no table."""
        return self._identity

    @property
    def seq(self) -> int:
        """The number of the last change."""
        return self._seq

    @property
    def cells(self) -> Mapping[str, CellEntry]:
        """All cells by name."""
        return self._cells

    def __len__(self) -> int:
        return len(self._tenants)

    def find(self, tenant_id: str) -> TenantEntry | None:
        """Where a tenant lives; None when the table does not know it."""
        return self._tenants.get(tenant_id)

    def cell(self, cell_id: str) -> CellEntry | None:
        """A cell's address."""
        return self._cells.get(cell_id)

    def snapshot(self) -> Snapshot | None:
        """The table as it is now, safe to read from another thread; None while there is none."""
        if self._identity is None:
            return None
        return Snapshot(self._identity, self._seq, dict(self._cells), dict(self._tenants))

    def adopt(self, offered: Snapshot, source: Source) -> None:
        """Begin anew from a snapshot. SnapshotRefused leaves everything as it is."""
        known = None if self._identity is None else self._view()
        reason = doubt(known, offered, self._caution)
        if reason is not None:
            raise SnapshotRefused(reason)
        # Built beside the old one and put in its place by one assignment each: no reader waits or sees half.
        self._tenants, self._cells = self._merged(offered), dict(offered.cells)
        self._identity, self._seq, self.source = offered.identity, offered.seq, source
        self._counted()
        for tenant_id in list(self._newer):
            self._wake(tenant_id)

    def _merged(self, offered: Snapshot) -> dict[str, TenantEntry]:
        """The snapshot's tenants, but none at a lower epoch than is known, and none that was deleted since."""
        tenants = dict(offered.tenants)
        for tenant_id, held in self._tenants.items():
            entry = tenants.get(tenant_id)
            if entry is not None and held.epoch > entry.epoch:
                tenants[tenant_id] = held
        for tenant_id, epoch in self._gone.items():
            entry = tenants.get(tenant_id)
            if entry is not None and epoch >= entry.epoch:
                del tenants[tenant_id]
        return tenants

    def _view(self) -> Snapshot:
        return Snapshot(self._identity or "", self._seq, self._cells, self._tenants)

    def apply(self, change: Change) -> None:
        """Take one change. OutOfOrder when its number does not follow; one that was taken already is skipped."""
        if change.seq <= self._seq:
            return
        if self._identity is None or change.seq != self._seq + 1:
            raise OutOfOrder(f"change {change.seq} does not follow {self._seq}")
        if isinstance(change.entry, CellEntry):
            self._cells[change.entry.cell_id] = change.entry
        else:
            self._put(change.entry)
        self._seq = change.seq
        self.source = "directory"
        metrics.CHANGES.inc()
        self._counted()

    def learn(self, entry: TenantEntry) -> None:
        """Take what a look-up brought, when it is newer than what is known."""
        if self._put(entry):
            self._counted()

    def _put(self, entry: TenantEntry) -> bool:
        """Whether the entry was newer."""
        held = self._tenants.get(entry.tenant_id)
        gone_at = self._gone.get(entry.tenant_id, -1)
        if entry.epoch <= gone_at or (held is not None and (entry.epoch < held.epoch or entry == held)):
            return False
        if entry.cell_id is None:
            self._tenants.pop(entry.tenant_id, None)
            self._gone[entry.tenant_id] = entry.epoch
            while len(self._gone) > MOST_GONE:
                self._gone.popitem(last=False)
        else:
            self._tenants[entry.tenant_id] = entry
            self._gone.pop(entry.tenant_id, None)
        self._wake(entry.tenant_id)
        return True

    def _counted(self) -> None:
        metrics.TABLE_TENANTS.set(len(self._tenants))
        metrics.TABLE_SEQ.set(self._seq)
        self.changed.set()

    async def newer(self, tenant_id: str, than_epoch: int, wait_seconds: float) -> TenantEntry | None:
        """The tenant's entry once its epoch is above `than_epoch`; None when that did not happen in time."""
        entry = self.find(tenant_id)
        try:
            async with asyncio.timeout(wait_seconds):
                while entry is None or entry.epoch <= than_epoch:
                    await self._change_of(tenant_id)
                    entry = self.find(tenant_id)
        except TimeoutError:
            return None
        return entry

    async def _change_of(self, tenant_id: str) -> None:
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._newer.setdefault(tenant_id, set())
        waiting.add(came)
        try:
            await came
        finally:
            waiting.discard(came)
            if not waiting and self._newer.get(tenant_id) is waiting:
                del self._newer[tenant_id]

    def _wake(self, tenant_id: str) -> None:
        for came in self._newer.get(tenant_id, ()):
            if not came.done():
                came.set_result(None)
