"""Work that is due now and then for any tenant, in bounded bites.

The relay says which of the tenants served here have something to do; each bite is a transaction of that tenant,
under its fence. Tenants take turns, so a large pile keeps nobody waiting, and a tenant that cannot be helped
spoils nothing for the others.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import asyncpg

from cell.access import enter_at
from cell.database import SQL, transaction
from cell.errors import CellError, NotHere
from runtime import logs
from runtime.database import Connection, Pool

log = logs.get("cell.work.rounds")
TENANTS_A_PAGE = 200
LOOK_SECONDS = 10.0

Act = Callable[[Connection], Awaitable[int]]


class Bite(NamedTuple):
    """A piece of work in the tenant's transaction; what returns as many as `full` may have left something."""

    act: Act
    full: int


class Turn(NamedTuple):
    """Whose work, and which."""

    tenant_id: str
    epoch: int
    chore: str


class Rounds:
    """Bites until nothing is left; a look takes `look_seconds` and the bite at hand. `after`: whom it reached.

    `page` is the relay's query: tenant_id, epoch, and a column for each of `chores`, null when there is nothing to
    do.
    """

    def __init__(
        self,
        relay_pool: Pool,
        app_pool: Pool,
        page: str,
        chores: Mapping[str, Bite],
        look_seconds: float = LOOK_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._relay_pool, self._app_pool = relay_pool, app_pool
        self._page, self._chores = page, chores
        self._look_seconds, self._now = look_seconds, now
        self.after, self._left = "", False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} after {self.after!r}>"

    async def repeat(self, seconds: float) -> None:
        """A look, and a rest once nothing is left: a task repeats it."""
        if not await self.look():
            await asyncio.sleep(seconds)

    async def look(self) -> bool:
        """On from where the last look ended, page by page; True when something was left. Unavailable."""
        end = self._now() + self._look_seconds
        while True:
            async with transaction(self._relay_pool) as connection:
                page = await connection.fetch(SQL[self._page], self.after, TENANTS_A_PAGE)
            turns = [
                Turn(row["tenant_id"], row["epoch"], chore) for row in page for chore in self._chores if row[chore]
            ]
            random.shuffle(turns)  # so that nobody is always the one for whom there was no time
            self._left |= await self._take(deque(turns), end)
            # On to the next page even when time is over: a large pile must not keep the others waiting.
            self.after = page[-1]["tenant_id"] if len(page) == TENANTS_A_PAGE else ""
            if not self.after:
                left, self._left = self._left, False
                return left
            if self._now() >= end:
                return True

    async def _take(self, turns: deque[Turn], end: float) -> bool:
        """One bite each, again and again; True when time was over first."""
        while turns and self._now() < end:
            turn = turns.popleft()
            if await self._bitten(turn):
                turns.append(turn)
        return bool(turns)

    async def _bitten(self, turn: Turn) -> bool:
        """One bite; True when there may be more. What fails for one tenant is logged, and left to a later look."""
        bite = self._chores[turn.chore]
        try:
            async with transaction(self._app_pool) as connection:
                await enter_at(connection, turn.tenant_id, turn.epoch)
                done = await bite.act(connection)
        except NotHere:
            return False  # it has just moved away, and its rows with it
        except (CellError, asyncpg.PostgresError) as error:
            log.warning("chore_failed", tenant=turn.tenant_id, chore=turn.chore, error=repr(error))
            return False
        return done >= bite.full
