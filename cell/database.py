"""Transactions of one tenant, with deadlines, and the border where Postgres' errors become ours.

When Postgres is away, slow or stopped, every call here ends with `Unavailable` within a few seconds; the
connection in question is torn down instead of being waited for, so the pool cannot fill with stuck ones.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import asyncpg

from cell.errors import CellError, NotHere, Stale, Unavailable
from directory.fence import NOT_HERE, OUTDATED
from runtime.backoff import Backoff
from runtime.database import UNREACHABLE, Connection, Pool, PoolConnection
from runtime.queries import Queries

SQL = Queries("cell")
ACQUIRE_SECONDS = 2.0
RELEASE_SECONDS = 1.0
COMMAND_SECONDS = 4.0
"""No statement of a request or of a job's step takes longer."""
TRANSACTION_SECONDS = 6.0
MOST_TRIES = 4
_AGAIN = Backoff(initial_seconds=0.01, cap_seconds=0.2, floor_seconds=0.001)

CLASHES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""Nobody's mistake: the same transaction succeeds when it runs again."""
BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    *CLASHES,
)
ResultT = TypeVar("ResultT")


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction that commits at the end. Postgres' errors become those of `cell.errors`."""
    try:
        async with asyncio.timeout(TRANSACTION_SECONDS), _connection(pool) as connection, _committed(connection):
            yield connection
    except Exception as error:
        ours = translated(error)
        if ours is error:
            raise
        raise ours from error


@contextlib.asynccontextmanager
async def _connection(pool: Pool) -> AsyncIterator[PoolConnection]:
    connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
    try:
        yield connection
    except (*UNREACHABLE, asyncio.CancelledError):
        # It may be in the middle of anything, and asking a server that is away would only wait again.
        connection.terminate()
        raise
    finally:
        await pool.release(connection, timeout=RELEASE_SECONDS)


@contextlib.asynccontextmanager
async def _committed(connection: PoolConnection) -> AsyncIterator[None]:
    scope = connection.transaction()
    await scope.start()
    try:
        yield
    except (*UNREACHABLE, asyncio.CancelledError):
        raise
    except BaseException:
        await scope.rollback()
        raise
    await scope.commit()


async def again(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run a whole transaction again when it clashed with another one; a few times only."""
    for attempt in range(MOST_TRIES - 1):
        try:
            return await work()
        except Unavailable as error:
            if not isinstance(error.__cause__, CLASHES):
                raise
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
    return await work()


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
