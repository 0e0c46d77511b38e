"""Locks and terms in the control database.

A lock is a row that is kept, and not an advisory lock of a session: that one would stay with a process which is
frozen, for its connection lives on. Whether a row is over is told by the database's clock alone.
"""

import asyncio
import uuid
from collections.abc import Sequence

from directory.leadership import Lock
from directory.transactions import SQL, Transactions, fields_of, found, repeated
from directory.values import Term
from runtime.database import Pool

LOOK_SECONDS = 1.0
"""Between two looks of whoever waits: that a lock is over is no event which anybody could be told of."""


class PostgresLeadership:
    """`Leadership` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool, lives_seconds: float = 10.0) -> None:
        self.lives_seconds = lives_seconds
        self._transactions = Transactions(pool)

    @repeated
    async def gain(self, resource: str, owner: str) -> Lock | None:
        lock_id = uuid.uuid4()
        row = await self._transactions.row("gain_lock", resource, owner, lock_id, self.lives_seconds)
        return None if row is None else Lock(resource, owner, str(lock_id))

    @repeated
    async def take(self, resource: str, owner: str) -> Lock:
        """As `fallback_leadership.Spare` has it."""
        lock_id = uuid.uuid4()
        await self._transactions.row("take_lock", resource, owner, lock_id, self.lives_seconds)
        return Lock(resource, owner, str(lock_id))

    @repeated
    async def keep(self, lock: Lock) -> bool:
        parameters = (lock.resource, uuid.UUID(lock.lock_id), self.lives_seconds)
        return await self._transactions.row("keep_lock", *parameters) is not None

    @repeated
    async def give_up(self, lock: Lock) -> None:
        await self._transactions.row("give_up_lock", lock.resource, uuid.UUID(lock.lock_id))

    async def leader(self, resource: str) -> str | None:
        row = await self._transactions.row("get_lock", resource)
        return None if row is None else str(row["owner"])

    async def wait(self, resource: str, seconds: float) -> None:
        row = await self._transactions.row("get_lock", resource)
        if row is not None:
            await asyncio.sleep(min(seconds, LOOK_SECONDS, row["left_seconds"]))

    async def close(self) -> None:
        """The pool is its owner's."""


class PostgresTerms:
    """`Terms` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    @repeated
    async def begin(self, resource: str, owner: str) -> Term:
        async with self._transactions.begun() as connection:
            row = await connection.fetchrow(SQL["begin_term"], resource, owner)
            return Term(**fields_of(Term, found(row, "term of", resource)))

    async def latest(self, resource: str) -> Term | None:
        row = await self._transactions.row("get_term", resource)
        return None if row is None else Term(**fields_of(Term, row))

    async def all(self) -> Sequence[Term]:
        return [Term(**fields_of(Term, row)) for row in await self._transactions.rows("list_terms")]
