"""Postgres pools and transactions with deadlines, and the bootstrap of a database with least-privilege roles."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from runtime.backoff import Backoff
from runtime.errors import StartFailed
from runtime.wire import Wire

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
PoolConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Told: TypeAlias = Callable[[int, int | None], None]
"""Hears what a transaction took: nanoseconds from its begin to its end; bytes on the wire, if they are known."""

COMMAND_SECONDS = 10.0
"""No statement of ours needs longer; the server ends it a little earlier than the client gives up."""
CONNECT_SECONDS = 3.0
RELEASE_SECONDS = 1.0
IDLE_SECONDS = 60.0
"""Unused connections are closed after so long."""
WARM_SECONDS = 20.0
SERVERS_SHARE = 0.9
"""Of a command's time: then the server has ended it, so the connection stays usable."""
MOST_TRIES = 4
_AGAIN = Backoff(initial_seconds=0.01, cap_seconds=0.2, floor_seconds=0.001)
ResultT = TypeVar("ResultT")

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # A connection that broke within an answer is in no state to be asked anything, not even to roll back.
    asyncpg.InternalClientError,
    # We were asleep in a transaction, and it did not wait.
    asyncpg.IdleInTransactionSessionTimeoutError,
    # Its roles or its database are not made yet, or their passwords are being changed.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What asyncpg raises when the server is away, starting, stopping, full, or not prepared. Border code translates
these."""
CLASHES = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    # An upgrade has added a column to what a statement selects; asyncpg forgets how it was prepared.
    asyncpg.InvalidCachedStatementError,
)
"""Nobody's mistake: the same transaction succeeds when it runs again."""
BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    *CLASHES,
)
"""What a server raises that is there, but too slow, too full, or failing over. Border code translates these."""


class _Wired(_Connection):
    """Has a `wire` as well, which begins once whoever connects was let in."""

    __slots__ = ("wire",)

    def __init__(self, protocol: Any, transport: asyncio.BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        self.wire = Wire(transport)


async def open_pool(
    dsn: str,
    *,
    name: str,
    size: int = 10,
    command_seconds: float = COMMAND_SECONDS,
    idle_seconds: float | None = None,
    stateless: bool = False,
) -> Pool:
    """A pool that connects on demand, so a process starts while its database is still away.

    `stateless` promises that nothing but whole transactions runs on it (SET LOCAL only, no LISTEN, no session
    locks): then nothing of a session is left to be reset, and each use saves a round trip.
    `idle_seconds`: how long a client that stands still in a transaction keeps its locks; None: twice a command.
    """
    pool = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=command_seconds,
        reset=_nothing_to_reset if stateless else None,
        connection_class=_Wired,
        max_inactive_connection_lifetime=IDLE_SECONDS,
        server_settings={
            "application_name": name,
            "statement_timeout": str(int(command_seconds * 1000 * SERVERS_SHARE)),
            # A client that dies between two statements must not hold its locks for long.
            "idle_in_transaction_session_timeout": str(int((idle_seconds or command_seconds * 2) * 1000)),
        },
    )
    return await pool


async def keep_warm(pool: Pool) -> None:
    """One look, and the rest until the next: open all that is closed, while nobody needs any of it.

    Connections that nobody uses are closed after a while, and a crowd that comes at once, as with a tenant that
    has just moved here, would wait for all of them to be opened.
    """
    if pool.get_idle_size() == pool.get_size():
        with contextlib.suppress(*UNREACHABLE, asyncpg.PostgresError):
            async with asyncio.timeout(CONNECT_SECONDS), contextlib.AsyncExitStack() as stack:
                for _ in range(pool.get_max_size()):
                    await stack.enter_async_context(pool.acquire())
    await asyncio.sleep(WARM_SECONDS)


async def _nothing_to_reset(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """See `open_pool`."""


@contextlib.asynccontextmanager
async def transaction(
    pool: Pool,
    *,
    seconds: float,
    acquire_seconds: float = CONNECT_SECONDS,
    told: Told | None = None,
    **kind: Any,
) -> AsyncIterator[Connection]:
    """A connection in a transaction that commits at the end, all of it within `seconds`; `kind` is asyncpg's.

    `told` hears what it took, however it ended; `pool` is one of `open_pool`.

    When the server is away or whoever asked is gone, the connection is torn down instead of being waited for, so
    the pool cannot fill with stuck ones. asyncpg's errors come as they are: border code translates UNREACHABLE and
    BUSY.
    """
    async with asyncio.timeout(seconds), _lent(pool, acquire_seconds) as connection:
        wire = _wire(connection)
        began_ns = time.perf_counter_ns()
        try:
            async with _committed(connection, kind):
                yield connection
        finally:
            # Also where nobody hears it: the next one on this connection begins to count here.
            passed = wire.passed()
            if told is not None:
                told(time.perf_counter_ns() - began_ns, passed)


@contextlib.asynccontextmanager
async def _lent(pool: Pool, acquire_seconds: float) -> AsyncIterator[PoolConnection]:
    connection = await pool.acquire(timeout=acquire_seconds)
    try:
        yield connection
    except (*UNREACHABLE, asyncio.CancelledError):
        # It may be in the middle of anything, and asking a server that is away would only wait again.
        end(connection)
        raise
    finally:
        await pool.release(connection, timeout=RELEASE_SECONDS)


def end(connection: Connection) -> None:
    """Tear a lent connection down at once. One that is gone has left its pool already, and says so: it may."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


def is_closed(connection: Connection) -> bool:
    """Whether a lent connection is gone; its pool may have taken it back already."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


def _wire(connection: Any) -> Wire:
    # `connection.wire` would do, but to find that takes asyncpg as long as the kernel takes to tell of the bytes.
    wire: Wire = connection._con.wire
    return wire


@contextlib.asynccontextmanager
async def _committed(connection: PoolConnection, kind: Mapping[str, Any]) -> AsyncIterator[None]:
    scope = connection.transaction(**kind)
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
    """Run a whole transaction again when it clashed with another one; a few times only.

    A clash is known by itself, or by the error that border code made of it.
    """
    for attempt in range(MOST_TRIES - 1):
        try:
            return await work()
        except Exception as error:
            if not isinstance(error, CLASHES) and not isinstance(error.__cause__, CLASHES):
                raise
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
    return await work()


async def reach(dsn: str, *, deadline_seconds: float = 20.0) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect, trying again while the server starts or is prepared; StartFailed after the deadline."""
    last = ""
    try:
        async with asyncio.timeout(deadline_seconds):
            while True:
                try:
                    return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
                except UNREACHABLE as error:
                    last = f" ({error})" if isinstance(error, asyncpg.PostgresError) else ""
                    await asyncio.sleep(0.05)
    except TimeoutError:
        raise StartFailed(
            f"Postgres at {address(dsn)} did not answer within {deadline_seconds:g} s{last}"
        ) from None
    except asyncpg.PostgresError as error:
        raise StartFailed(f"Postgres at {address(dsn)} refuses: {error}") from error


def address(dsn: str) -> str:
    """The part of a DSN that may be shown: host, port and database, without user and password."""
    return dsn.rpartition("@")[2].partition("?")[0]


async def bootstrap(
    admin_dsn: str, database: str, owner: str, roles: Mapping[str, str], replicating: Sequence[str] = ()
) -> None:
    """Create login roles (name → password) and a database that `owner` owns; running it again is harmless.

    Roles are plain: no superuser, no BYPASSRLS, no right to create anything but what `owner` grants. Those
    that are `replicating` may bring rows as they are elsewhere, without the triggers that they went through there,
    and past row security, under which there is no COPY.
    """
    connection = await reach(admin_dsn)
    try:
        for role, password in roles.items():
            await _create_role(connection, role, password)
        for role in replicating:
            statements = await connection.fetchval(
                "SELECT format('GRANT SET ON PARAMETER session_replication_role TO %1$I; "
                "ALTER ROLE %1$I BYPASSRLS', $1::text)",
                role,
            )
            await connection.execute(statements)
        await _create_database(connection, database, owner, list(roles))
    finally:
        await connection.close()


async def _create_role(connection: Connection, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    # Utility statements take no parameters: the server itself quotes what it is given.
    verb = "ALTER" if exists else "CREATE"
    plain = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION"
    statement = await connection.fetchval(
        f"SELECT format('{verb} ROLE %I {plain} PASSWORD %L', $1::text, $2::text)",
        role,
        password,
    )
    await connection.execute(statement)


async def _create_database(connection: Connection, database: str, owner: str, roles: list[str]) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        await connection.execute(
            await connection.fetchval(
                "SELECT format('CREATE DATABASE %I OWNER %I', $1::text, $2::text)", database, owner
            )
        )
    # Only named roles may connect, and nobody but the owner may create schemas.
    statements = await connection.fetch(
        "SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $1::text) AS statement UNION ALL "
        "SELECT format('GRANT CONNECT ON DATABASE %I TO %I', $1::text, role) FROM unnest($2::text[]) role",
        database,
        roles,
    )
    for row in statements:
        await connection.execute(row["statement"])
