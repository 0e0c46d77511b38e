"""Transactions of one tenant, with deadlines, and the border where Postgres' errors become ours.

When Postgres is away, slow or stopped, every call here ends with `Unavailable` within a few seconds; the
connection in question is torn down instead of being waited for, so the pool cannot fill with stuck ones.
"""

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from cell.errors import CellError, NotHere, Stale, Unavailable
from cell.load import Charge, charged
from directory.fence import NOT_HERE, OUTDATED
from runtime import database
from runtime.database import BUSY, MOST_TRIES, UNREACHABLE, Connection, Pool, again
from runtime.queries import Queries

__all__ = ["MOST_TRIES", "SQL", "again", "transaction", "translated"]

SQL = Queries("cell")
ACQUIRE_SECONDS = 2.0
COMMAND_SECONDS = 4.0
"""No statement of a request or of a job's step takes longer."""
TRANSACTION_SECONDS = 6.0


@contextlib.asynccontextmanager
async def transaction(pool: Pool, charge: Charge | None = None) -> AsyncIterator[Connection]:
    """A connection in a transaction that commits at the end. Postgres' errors become those of `cell.errors`.

    Its time and its bytes count for whom `charge` is at the end; without one, as in `cell.load.charging`.
    """
    charge = charge or charged()
    told = None if charge is None else charge.transacted
    try:
        async with database.transaction(
            pool, seconds=TRANSACTION_SECONDS, acquire_seconds=ACQUIRE_SECONDS, told=told
        ) as connection:
            yield connection
    except Exception as error:
        ours = translated(error)
        if ours is error:
            raise
        raise ours from error


def translated(error: Exception) -> Exception:
    """The error of ours for one of Postgres'; any other error unchanged."""
    if isinstance(error, CellError):
        return error
    if isinstance(error, asyncpg.PostgresError):
        if error.sqlstate == NOT_HERE:
            return NotHere(_known_epoch(error))
        if error.sqlstate == OUTDATED:
            return Stale(f"a later decision is known, at epoch {_known_epoch(error)}")
    if isinstance(error, (*UNREACHABLE, *BUSY)):
        return Unavailable(f"the cell's database does not answer in time: {type(error).__name__}")
    return error


def _known_epoch(error: asyncpg.PostgresError) -> int:
    detail = str(getattr(error, "detail", "") or "0")
    return int(detail) if detail.isdigit() else 0
