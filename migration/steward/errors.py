"""What can go wrong when a decision is carried out; and the border where asyncpg's errors become these."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from directory.fence import OUTDATED
from migration.errors import Unavailable
from runtime import database
from runtime.database import BUSY, UNREACHABLE, Connection, Pool
from runtime.queries import Queries

__all__ = ["SQL", "Stale", "Unavailable", "transaction"]

SQL = Queries("migration.steward")
ACQUIRE_SECONDS = 2.0
TRANSACTION_SECONDS = 6.0


class Stale(Exception):
    """A decision arrived after a later one."""


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction that commits at the end. Stale; Unavailable."""
    try:
        async with database.transaction(
            pool, seconds=TRANSACTION_SECONDS, acquire_seconds=ACQUIRE_SECONDS
        ) as connection:
            yield connection
    except (*UNREACHABLE, *BUSY) as error:
        raise Unavailable(f"the cell's database does not answer in time: {type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == OUTDATED:
            raise Stale(f"a later decision is known, at epoch {getattr(error, 'detail', '') or 0}") from error
        raise
