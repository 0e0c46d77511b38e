"""Finding jobs that nobody took, and rows whose time is over, across all tenants as role `cell_relay`.

The relay reads where work is and nothing of what it is about; whatever is then done, is done in the tenant's own
transaction under its fence. While Postgres is away the looks fail and are repeated.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from cell import metrics
from cell.access import enter_at
from cell.database import SQL, transaction
from cell.errors import NotHere
from cell.jobs.hints import Hint, Hinter
from runtime.database import Pool

MOST_AT_ONCE = 200
MOST_REMEMBERED = 5000
BITE = 500
MOST_TENANTS = 50


class Sweep:
    """Hints again for jobs that wait although a hint was sent, or whose worker went silent."""

    def __init__(
        self, pool: Pool, hinter: Hinter, again_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool, self._hinter, self._again_seconds, self._now = pool, hinter, again_seconds, now
        self._hinted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Sweep {len(self._hinted)} hinted>"

    async def look(self) -> int:
        """One look; returns how many hints it gave."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["due_jobs"], MOST_AT_ONCE)
        metrics.JOBS_DUE.set(len(rows))
        self._forget()
        # Without an epoch the tenant is not served here: its jobs wait, or have moved along with it.
        due = [Hint(row["tenant_id"], row["job_id"], row["epoch"]) for row in rows if row["epoch"] is not None]
        fresh = [hint for hint in due if (hint.tenant_id, hint.job_id) not in self._hinted]
        return sum(self._hint(hint) for hint in fresh)

    async def repeat(self, seconds: float) -> None:
        """One look and a rest: a task repeats it."""
        await self.look()
        await asyncio.sleep(seconds)

    def _hint(self, hint: Hint) -> bool:
        taken = self._hinter.hint(hint)
        if taken:
            self._hinted[hint.tenant_id, hint.job_id] = self._now()
        return taken

    def _forget(self) -> None:
        # In the order of their times, so looking stops at the first that is still young.
        while self._hinted and (
            len(self._hinted) > MOST_REMEMBERED
            or next(iter(self._hinted.values())) + self._again_seconds <= self._now()
        ):
            self._hinted.popitem(last=False)


class Expiry:
    """Removes answers of old Idempotency-Keys and operations that ended long ago, in bounded bites."""

    def __init__(self, relay_pool: Pool, app_pool: Pool) -> None:
        self._relay_pool, self._app_pool = relay_pool, app_pool

    async def look(self) -> None:
        """One bite from each of a few tenants."""
        async with transaction(self._relay_pool) as connection:
            rows = await connection.fetch(SQL["expired_tenants"], MOST_TENANTS)
        for row in rows:
            if row["epoch"] is not None:
                await self._bite(row["tenant_id"], row["epoch"])

    async def repeat(self, seconds: float) -> None:
        """One look and a rest: a task repeats it."""
        await self.look()
        await asyncio.sleep(seconds)

    async def _bite(self, tenant_id: str, epoch: int) -> None:
        try:
            async with transaction(self._app_pool) as connection:
                await enter_at(connection, tenant_id, epoch)
                for table in ("keys", "operations"):
                    tag = await connection.execute(SQL[f"delete_expired_{table}"], BITE)
                    metrics.EXPIRED.labels(table).inc(int(tag.rpartition(" ")[2]))
        except NotHere:
            return  # it has just moved away, and its rows with it
