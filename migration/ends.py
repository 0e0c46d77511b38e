"""One database of a move, as the mover sees it: readers with a snapshot, and writers that carry a token.

All settings on which a text's form or a snapshot's meaning depends are pinned when a connection is made.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from migration.catalog import QUERIES
from migration.errors import Obstacle, Unavailable, translated
from runtime.database import CONNECT_SECONDS, RELEASE_SECONDS, UNREACHABLE, Connection, Pool, end, is_closed

CHUNK_SECONDS = 600.0
"""No transaction of a move takes longer; those inside the write pause are given far less."""
LOCK_SECONDS = 5.0
IDLE_SECONDS = 120.0
"""How long a transaction may wait for the other end between two statements."""
CONNECTIONS = 6
PINNED: Mapping[str, str] = {
    "search_path": "pg_catalog",
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "xmlbinary": "base64",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # What a step noted, the directory may build a decision on.
    "synchronous_commit": "on",
    # Neither foreign keys nor the tables' own triggers do at the destination what they did at the source already.
    "session_replication_role": "replica",
    # A mover that was killed holds nothing for longer than this (ms), though its statement was a long one.
    "client_connection_check_interval": "1000",
    "jit": "off",
    # A move uses the processors that its connections say, and leaves the others to those who are served.
    "max_parallel_workers_per_gather": "0",
    # Chunks in the order of their index, not sorted: the planner cannot know how few rows are between bounds.
    "random_page_cost": "1.1",
}
_EXPORTED = re.compile(r"[0-9A-F]{1,16}-[0-9A-F]{1,16}-[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Reader:
    """A transaction that sees one snapshot throughout, and the tenant's rows."""

    connection: Connection
    where: str

    async def snapshot(self) -> str:
        """What it sees, as text of a pg_snapshot."""
        with translated(self.where):
            seen: str = await self.connection.fetchval(QUERIES["read_snapshot"])
        return seen

    async def history(self) -> str:
        """In which server's history its numbers of transactions mean something."""
        with translated(self.where):
            history: str = await self.connection.fetchval(QUERIES["read_history"])
        return history

    async def export(self) -> str:
        """A name by which other readers of this database, as long as this one lasts, can share its snapshot."""
        with translated(self.where):
            exported: str = await self.connection.fetchval(QUERIES["export_snapshot"])
        return exported


@dataclass(frozen=True, slots=True)
class Writing:
    """A transaction of the mover that carries `token`; it commits when its block ends."""

    connection: Connection
    where: str
    move_id: str
    token: int
    staged: frozenset[str] = field(default=frozenset())
    """Relations whose row security applies to this role: COPY cannot write them, INSERT can."""

    async def note(self, snapshot: str | None = None, progress: Mapping[str, Any] | None = None) -> None:
        """Keep, with the rows of this transaction, how far they are. None: as it was; progress is merged."""
        more = None if progress is None else json.dumps(progress)
        with translated(self.where):
            await self.connection.execute(QUERIES["note"], self.move_id, self.token, snapshot, more)


class End:
    """One database of a move of one tenant. Use it as a context manager; it keeps a few connections."""

    def __init__(
        self, dsn: str, *, name: str, tenant_id: str, move_id: str, seconds: float = CHUNK_SECONDS
    ) -> None:
        self.name = name
        self.tenant_id = tenant_id
        self.move_id = move_id
        self._dsn = dsn
        self._seconds = seconds
        self._pool: Pool | None = None
        self._is_volatile = False
        """Something is committed here that is not on the disk yet."""
        self._has_forgotten = False
        """The server went away meanwhile: it may have forgotten that."""
        self._staged: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"<End {self.name} of {self.move_id}{'' if self._pool else ', closed'}>"

    async def __aenter__(self) -> "End":
        settings = {
            **PINNED,
            "application_name": f"cellway-move {self.move_id}"[:63],
            "statement_timeout": str(int(self._seconds * 1000)),
            "lock_timeout": str(int(LOCK_SECONDS * 1000)),
            "idle_in_transaction_session_timeout": str(int(IDLE_SECONDS * 1000)),
        }
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            init=self._introduce,
            reset=_nothing_to_reset,
            # None is closed but by its server or by us, so that a server's end is noticed (`_ended`).
            max_inactive_connection_lifetime=0.0,
            server_settings=settings,
        )
        return self

    async def __aexit__(self, *_exception: object) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), RELEASE_SECONDS)
            except (*UNREACHABLE, asyncpg.PostgresError):
                pool.terminate()

    async def _introduce(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.execute(QUERIES["introduce"], self.tenant_id, self.move_id)
        connection.add_termination_listener(self._ended)

    def _ended(self, _connection: object) -> None:
        """Not by us. The next connection may be to a server that has forgotten what it was not asked to keep."""
        self._has_forgotten = self._has_forgotten or self._is_volatile

    @contextlib.asynccontextmanager
    async def connected(self, seconds: float = 30.0) -> AsyncIterator[Connection]:
        """A connection outside of any transaction, for single statements."""
        with translated(self.name):
            async with asyncio.timeout(seconds), self._lent() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def reading(
        self, snapshot: str | None = None, *, standing: Iterable[str] = (), seconds: float = CHUNK_SECONDS
    ) -> AsyncIterator[Reader]:
        """A transaction that reads one snapshot: of its first statement, or the exported one of this name.

        `standing`: relations that nobody alters from before that snapshot on. Else one that is written anew
        between the snapshot and its reading would seem to be empty.
        """
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        if snapshot is not None:
            if not _EXPORTED.fullmatch(snapshot):
                raise Obstacle(f"{snapshot!r} is no name of an exported snapshot")
            begin += f"; SET TRANSACTION SNAPSHOT '{snapshot}'"
        if relations := ", ".join(standing):
            begin += f"; LOCK TABLE {relations} IN ACCESS SHARE MODE"
        async with self._transaction(begin, seconds) as connection:
            yield Reader(connection, self.name)

    @contextlib.asynccontextmanager
    async def writing(
        self, token: int, *, durable: bool = True, seconds: float = CHUNK_SECONDS
    ) -> AsyncIterator[Writing]:
        """A transaction of whoever carries `token`; Superseded when that is somebody else by now.

        Not `durable`: its commit does not wait for the disk. It and its progress are lost together or not at all,
        and the next durable one that writes something carries it along. Once it may have been lost, whoever counts
        on it is Unavailable here, and has to look at the progress again.
        """
        if self._has_forgotten:
            raise Unavailable(f"{self.name} was away, and may have forgotten what was written last")
        if self._staged is None:
            async with self.connected() as connection:
                self._staged = frozenset(
                    row["relation"] for row in await connection.fetch(QUERIES["read_row_secured"])
                )
        # In one round trip, which a bound value would forbid; a token is a number.
        begin = f"BEGIN; SELECT cellway.act(current_setting('cellway.move'), {int(token)})"
        if not durable:
            begin += "; SET LOCAL synchronous_commit = off"
        if not durable:
            self._is_volatile = True
        async with self._transaction(begin, seconds) as connection:
            yield Writing(connection, self.name, self.move_id, token, self._staged)

    @contextlib.asynccontextmanager
    async def _transaction(self, begin: str, seconds: float) -> AsyncIterator[Connection]:
        with translated(self.name):
            async with asyncio.timeout(seconds), self._lent() as connection:
                try:
                    await connection.execute(begin)
                    yield connection
                    await connection.execute("COMMIT")
                except (*UNREACHABLE, asyncio.CancelledError):
                    raise
                except BaseException:
                    await _undo(connection)
                    raise

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise Obstacle(f"{self.name} is not open")
        connection = await self._pool.acquire(timeout=CONNECT_SECONDS)
        try:
            yield connection
        except UNREACHABLE:
            end(connection)
            raise
        except RuntimeError as error:
            # asyncpg writes to what is closed when a COPY fails, which uvloop answers so.
            if not is_closed(connection):
                raise
            raise ConnectionResetError("the connection broke") from error
        except (asyncio.CancelledError, GeneratorExit):
            # It may be in the middle of anything; the server ends what it was doing when it is gone.
            connection.remove_termination_listener(self._ended)
            end(connection)
            raise
        finally:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)


async def _undo(connection: Connection) -> None:
    """What went wrong before is what counts, so nothing is raised."""
    try:
        await connection.execute("ROLLBACK", timeout=RELEASE_SECONDS)
    except (*UNREACHABLE, asyncpg.PostgresError):
        end(connection)


async def _nothing_to_reset(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing but whole transactions runs here."""
