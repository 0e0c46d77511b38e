"""How long commits take at a source: a tiny one of our own, again and again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg

from migration.catalog import QUERIES
from migration.errors import translated
from runtime.database import CONNECT_SECONDS, RELEASE_SECONDS, Connection, end

DEADLINE_SECONDS = 2.0
"""One that is not through by then took so long at least."""
NOT_PERMITTED = (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError)


class Blind(Exception):
    """This role may not probe there (pg_logical_emit_message was taken from PUBLIC)."""


@contextlib.asynccontextmanager
async def probing(dsn: str, cell_id: str) -> AsyncIterator[Connection]:
    """A connection to probe by: how durable its commits are is left as it is for writers there. Unavailable."""
    settings = {
        "application_name": "cellway-pace",
        "statement_timeout": str(int(DEADLINE_SECONDS * 2000)),
        "idle_in_transaction_session_timeout": "10000",
    }
    with translated(cell_id):
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=settings)
    try:
        yield connection
    finally:
        if not connection.is_closed():
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=RELEASE_SECONDS)


async def commit_seconds(connection: Connection, cell_id: str) -> float:
    """What one takes, at most the deadline; with that the connection is closed. Unavailable; Blind."""
    try:
        with translated(cell_id):
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await connection.execute(QUERIES["probe_commit"])
                    seconds: float = await connection.fetchval(QUERIES["read_probe"])
            except NOT_PERMITTED as error:
                raise Blind(str(error)) from error
            except (TimeoutError, asyncpg.QueryCanceledError):
                end(connection)
                return DEADLINE_SECONDS
    except asyncio.CancelledError:
        end(connection)
        raise
    return min(max(seconds, 0.0), DEADLINE_SECONDS)
