"""Tenants that the table does not have: one look-up for all who ask at once, and a short memory of who is unknown.

Both are bounded, because names come from outside: anybody can ask for a million tenants that do not exist.
"""

import asyncio
import time
from collections import OrderedDict

from directory.errors import DirectoryError
from directory.feed import Feed
from directory.values import TenantEntry
from router import metrics
from router.table import Table
from runtime.tasks import Tasks

MOST_AT_ONCE = 256
LOOK_UP_SECONDS = 1.0
LEAST_UNKNOWN_SECONDS = 0.1
"""Unknown for so long whatever changes. A busy directory changes all the time: without this, each request for a
name that is tried out would reach the cache. Who is made meanwhile is found all the same once its change came."""


class Away(Exception):
    """The directory's cache cannot be asked now."""


class LookUps:
    """Asks the directory's cache for one tenant. What it answers goes into the table."""

    def __init__(
        self,
        feed: Feed,
        table: Table,
        tasks: Tasks,
        *,
        unknown_seconds: float,
        most_unknown: int,
        least_unknown_seconds: float = LEAST_UNKNOWN_SECONDS,
    ) -> None:
        self._feed, self._table, self._tasks = feed, table, tasks
        self._unknown_seconds, self._most_unknown = unknown_seconds, most_unknown
        self._least_unknown_seconds = min(least_unknown_seconds, unknown_seconds)
        self._under_way: dict[str, asyncio.Task[TenantEntry | str | None]] = {}
        self._unknown: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When a tenant was unknown, and the table's last change then."""

    def __repr__(self) -> str:
        return f"<LookUps {len(self._under_way)} under way, {len(self._unknown)} unknown>"

    def unknown_for_seconds(self, tenant_id: str) -> float | None:
        """How long ago the tenant was found to be unknown; None when it may be asked for.

        Once any change came since, that is so a tenth of a second later: the directory went on, perhaps by this
        very tenant, whose own change may still be on its way. What came is in the table, and is asked for there.
        """
        remembered = self._unknown.get(tenant_id)
        if remembered is None:
            return None
        at, seq = remembered
        seconds = time.monotonic() - at
        most = self._unknown_seconds if seq == self._table.seq else self._least_unknown_seconds
        return seconds if seconds <= most else None

    async def find(self, tenant_id: str) -> TenantEntry | None:
        """A tenant that the table does not have. Away when nobody can tell."""
        if self.unknown_for_seconds(tenant_id) is not None:
            metrics.LOOK_UPS.labels("remembered").inc()
            return self._table.find(tenant_id)
        return await self.refresh(tenant_id)

    async def refresh(self, tenant_id: str) -> TenantEntry | None:
        """What the directory says now; all who ask for one tenant at the same time share an answer. Away."""
        task = self._under_way.get(tenant_id)
        if task is None:
            if len(self._under_way) >= MOST_AT_ONCE:
                metrics.LOOK_UPS.labels("shed").inc()
                raise Away("too many look-ups at once")
            task = self._tasks.spawn("look-up", self._ask(tenant_id))
            self._under_way[tenant_id] = task
            task.add_done_callback(lambda _done: self._under_way.pop(tenant_id, None))
        # Shielded: whoever goes away must not take the answer from the others.
        found = await asyncio.shield(task)
        if isinstance(found, str):
            raise Away(found)
        return self._table.find(tenant_id)

    async def _ask(self, tenant_id: str) -> TenantEntry | str | None:
        """The answer, or as text why there is none."""
        seq = self._table.seq
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                entry = await self._feed.look_up(tenant_id, self._table.identity)
        except (DirectoryError, TimeoutError) as error:
            metrics.LOOK_UPS.labels("away").inc()
            return str(error) or "no answer in time"
        if entry is None or entry.cell_id is None:
            metrics.LOOK_UPS.labels("unknown").inc()
            self._remember(tenant_id, seq)
            return None
        metrics.LOOK_UPS.labels("found").inc()
        self._unknown.pop(tenant_id, None)
        self._table.learn(entry)
        return entry

    def _remember(self, tenant_id: str, seq: int) -> None:
        self._unknown[tenant_id] = time.monotonic(), seq
        self._unknown.move_to_end(tenant_id)
        while len(self._unknown) > self._most_unknown:
            self._unknown.popitem(last=False)
