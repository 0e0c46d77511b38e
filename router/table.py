"""The assignment table: every tenant's cell and epoch, in this process's memory. No I/O.

It begins from a snapshot and takes numbered changes without gaps. Its rules:

- for one tenant it never goes back to a lower epoch, whatever comes in whatever order
- a snapshot replaces everything at once, or is refused and changes nothing (`rules/adoption`)
- a tenant that was deleted stays so, even when a look-up that was under way brings it back

Tenants are packed (`directory.packed`), because there may be a million. A snapshot is compared with them and made
ready in short turns, while requests go on and look-ups bring what is new; then it is put in place by one
assignment.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from directory import wire
from directory.packed import Packed
from directory.turns import Turns, at_once, in_turns
from directory.values import CellEntry, Change, Snapshot, TenantEntry
from router import metrics
from router.errors import OutOfOrder, SnapshotRefused
from router.rules.adoption import Caution, Standing, doubt

Source = Literal["nothing", "disk", "directory"]
MOST_GONE = 10_000
"""Deletions that are remembered; the oldest is forgotten first."""
_BATCH = 64
"""Entries that are put in place in one turn."""


class Table:
    """tenant → (cell, epoch), and cell → address."""

    def __init__(self, caution: Caution | None = None) -> None:
        self._caution = caution or Caution()
        self._identity: str | None = None
        self._seq = 0
        self._cells: dict[str, CellEntry] = {}
        self._tenants = Packed()
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._newer: dict[str, set[asyncio.Future[None]]] = {}
        self._meanwhile: list[list[TenantEntry]] = []
        """What came since each adoption that is under way began."""
        self.source: Source = "nothing"
        self.version = 0
        """Grows with everything that changes here: what was found at an equal version is still so."""
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
        return self._tenants.find(tenant_id)

    def cell(self, cell_id: str) -> CellEntry | None:
        """A cell's address."""
        return self._cells.get(cell_id)

    def snapshot(self) -> Snapshot | None:
        """The table as it is now, safe to read from another thread; None while there is none."""
        if self._identity is None:
            return None
        return Snapshot(self._identity, self._seq, self._cells.copy(), self._tenants.copy())

    def adopt(self, offered: Snapshot, source: Source) -> None:
        """Begin anew from a snapshot, before anybody is served. SnapshotRefused leaves everything as it is."""
        at_once(self._adoption(offered, source))

    async def adopt_in_turns(self, offered: Snapshot, source: Source) -> None:
        """The same while others are served; until the end of it they find what was known before."""
        await in_turns(self._adoption(offered, source))

    def _adoption(self, offered: Snapshot, source: Source) -> Turns[None]:
        self._refuse(offered, 0)
        meanwhile: list[TenantEntry] = []
        self._meanwhile.append(meanwhile)
        try:
            before, known = self._tenants, self._tenants.copy()
            packed = yield from wire.packed(offered)
            fresh = yield from self._merged(offered, known, packed)
            while len(meanwhile) > _BATCH:
                _take_over(fresh, meanwhile[:_BATCH])
                del meanwhile[:_BATCH]
                yield
            if self._tenants is not before:  # another one was adopted: compare with that
                yield from self._adoption(offered, source)
                return
            self._refuse(offered, 0)  # the table went on
            _take_over(fresh, meanwhile)
            self._begin(offered, fresh, source)
        finally:
            self._meanwhile = [each for each in self._meanwhile if each is not meanwhile]
        yield from before.release()
        yield from known.release()

    def _begin(self, offered: Snapshot, fresh: Packed, source: Source) -> None:
        """Built beside the old one and put in its place by one assignment each: no reader sees half."""
        self._tenants, self._cells = fresh, dict(offered.cells)
        self._identity, self._seq, self.source = offered.identity, offered.seq, source
        self._counted()
        for tenant_id in list(self._newer):
            self._wake(tenant_id)

    def _merged(self, offered: Snapshot, known: Packed, packed: Packed) -> Turns[Packed]:
        """The snapshot's tenants, but none at a lower epoch than is known, and none that was deleted since."""
        fresh, vanishing = packed.copy(), 0
        for difference in known.against(packed):
            vanishing += difference.missing
            for held in difference.newer:
                fresh.put(held)
            yield
        self._refuse(offered, vanishing, len(known))
        for number, (tenant_id, epoch) in enumerate(list(self._gone.items())):
            _take_over(fresh, [TenantEntry(tenant_id, None, epoch)])
            if number % _BATCH == 0:
                yield
        return fresh

    def _refuse(self, offered: Snapshot, vanishing: int, known_tenants: int | None = None) -> None:
        if self._identity is None:
            return
        tenants = len(self._tenants) if known_tenants is None else known_tenants
        known = Standing(self._identity, self._seq, tenants)
        reason = doubt(
            known, Standing(offered.identity, offered.seq, len(offered.tenants)), vanishing, self._caution
        )
        if reason is not None:
            raise SnapshotRefused(reason)

    def apply(self, change: Change) -> None:
        """Take one change. OutOfOrder when its number does not follow; one that was taken already is skipped."""
        if change.seq <= self._seq:
            return
        if self._identity is None or change.seq != self._seq + 1:
            raise OutOfOrder(f"change {change.seq} does not follow {self._seq}")
        try:
            self._apply(change.entry)
        except ValueError as error:
            raise OutOfOrder(f"change {change.seq} cannot be taken: {error}") from error
        self._seq = change.seq
        self.source = "directory"
        metrics.CHANGES.inc()
        self._counted()

    def _apply(self, entry: CellEntry | TenantEntry) -> None:
        if isinstance(entry, CellEntry):
            self._cells[entry.cell_id] = entry
            return
        held = self.find(entry.tenant_id)
        # At an equal epoch it may say something new, such as another rate: changes come in order.
        if entry.epoch > self._gone.get(entry.tenant_id, -1) and (held is None or entry.epoch >= held.epoch):
            self._put(entry)

    def learn(self, entry: TenantEntry) -> None:
        """Take what a look-up brought, when its epoch is higher than the known one: it may be an old answer."""
        held = self.find(entry.tenant_id)
        known = self._gone.get(entry.tenant_id, -1) if held is None else held.epoch
        if entry.epoch > known:
            self._put(entry)
            self._counted()

    def _put(self, entry: TenantEntry) -> None:
        if entry.cell_id is None:
            self._tenants.remove(entry.tenant_id)
            self._gone[entry.tenant_id] = entry.epoch
            while len(self._gone) > MOST_GONE:
                self._gone.popitem(last=False)
        else:
            self._tenants.put(entry)
            self._gone.pop(entry.tenant_id, None)
        for entries in self._meanwhile:
            entries.append(entry)
        self._wake(entry.tenant_id)

    def _counted(self) -> None:
        self.version += 1
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


def _take_over(fresh: Packed, entries: list[TenantEntry]) -> None:
    """What is newer than the snapshot that is being made ready; it has what is equal."""
    for entry in entries:
        held = fresh.find(entry.tenant_id)
        if entry.cell_id is None:
            if held is not None and entry.epoch >= held.epoch:
                fresh.remove(entry.tenant_id)
        elif held is None or entry.epoch > held.epoch:
            fresh.put(entry)
