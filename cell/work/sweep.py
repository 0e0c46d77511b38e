"""Finding the tenants whose work nobody was told of, as role `cell_relay`.

The relay reads where work is and nothing of what it is about; whatever is then done, is done in the tenant's own
transaction under its fence. A tenant costs a look the same however much work it has, and gets one hint a lane.
While Postgres is away the looks fail and are repeated.
"""

import asyncio
from collections.abc import Callable

from cell import metrics
from cell.database import SQL, transaction
from cell.work.hints import Hint
from runtime.database import Pool

TENANTS_A_PAGE = 200
MOST_PAGES = 50


class Sweep:
    """Hints for work that is due although a hint was sent, or whose worker went silent. `hint`: gives one."""

    def __init__(self, pool: Pool, hint: Callable[[Hint], bool]) -> None:
        self._pool, self._hint = pool, hint
        self._after = ""

    def __repr__(self) -> str:
        return f"<Sweep after {self._after!r}>"

    async def look(self) -> int:
        """On from where the last look ended, page by page; returns how many hints it gave."""
        given = 0
        for _ in range(MOST_PAGES):
            given += sum(self._hint(hint) for hint in await self._page())
            if not self._after:
                break
        metrics.WORK_DUE.set(given)
        return given

    async def _page(self) -> list[Hint]:
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["tenants_with_work"], self._after, TENANTS_A_PAGE)
        self._after = rows[-1]["tenant_id"] if len(rows) == TENANTS_A_PAGE else ""
        # Without an epoch the tenant is not served here: its work waits, or has moved along with it.
        served = [row for row in rows if row["epoch"] is not None]
        return [Hint(row["tenant_id"], row["epoch"], lane) for row in served for lane in row["lanes"]]

    async def repeat(self, seconds: float) -> None:
        """One look and a rest: a task repeats it."""
        await self.look()
        await asyncio.sleep(seconds)
