"""Finding jobs that nobody took, across all tenants as role `cell_relay`.

The relay reads where work is and nothing of what it is about; whatever is then done, is done in the tenant's own
transaction under its fence. Tenants get hints in turns, and what was hinted lately is passed over: neither a
tenant with many jobs, nor one whose jobs may not run here, nor hints that nobody heeds keep others waiting. While
Postgres is away the looks fail and are repeated.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from cell import metrics
from cell.database import SQL, transaction
from cell.jobs.hints import Hint, Hinter
from runtime.database import Pool

MOST_AT_ONCE = 200
"""Hints for a page of tenants; a look ends with the page at which it has given as many."""
TENANTS_A_PAGE = MOST_AT_ONCE
"""No more than hints: each of them gets one before any gets a second."""
MOST_OF_A_TENANT = 50
MOST_PAGES = 50
MOST_REMEMBERED = 5000


class Sweep:
    """Hints again for jobs that wait although a hint was sent, or whose worker went silent."""

    def __init__(
        self, pool: Pool, hinter: Hinter, again_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool, self._hinter, self._again_seconds, self._now = pool, hinter, again_seconds, now
        self._hinted: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._after = ""

    def __repr__(self) -> str:
        return f"<Sweep {len(self._hinted)} hinted>"

    async def look(self) -> int:
        """On from where the last look ended, page by page; returns how many hints it gave."""
        self._forget()
        given = due = 0
        for _ in range(MOST_PAGES):
            page = await self._page()
            due += len(page)
            given += sum(self._hint(hint) for hint in page)
            if not self._after or given >= MOST_AT_ONCE:
                break
        metrics.JOBS_DUE.set(due)
        return given

    async def _page(self) -> Sequence[Hint]:
        """Jobs of the next tenants that have any, without those hinted lately."""
        async with transaction(self._pool) as connection:
            tenants = await connection.fetch(SQL["job_tenants"], self._after, TENANTS_A_PAGE)
            self._after = tenants[-1]["tenant_id"] if len(tenants) == TENANTS_A_PAGE else ""
            # Without an epoch the tenant is not served here: its jobs wait, or have moved along with it.
            epochs = {row["tenant_id"]: row["epoch"] for row in tenants if row["epoch"] is not None}
            hinted = [f"{tenant_id}/{job_id}" for tenant_id, job_id in self._hinted]
            rows = await connection.fetch(SQL["due_jobs"], list(epochs), MOST_OF_A_TENANT, MOST_AT_ONCE, hinted)
        return [Hint(row["tenant_id"], row["job_id"], epochs[row["tenant_id"]]) for row in rows]

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
