"""The border to the control database: each call ends in time, with an error of the directory's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from directory.errors import Unavailable
from directory.postgres import PostgresDirectory
from directory.values import CellChange
from runtime import database
from runtime.tasks import Tasks
from tests.directory.examples import new_tenant, open_cell
from tests.servers import ControlDatabase
from tests.waiting import eventually

Open = Callable[[str], Awaitable[PostgresDirectory]]
COMMAND_SECONDS = 2.0


@pytest.fixture
async def open_directory() -> AsyncIterator[Open]:
    """A directory over a pool of its own, with short deadlines."""
    pools: list[database.Pool] = []

    async def opened(dsn: str) -> PostgresDirectory:
        pools.append(await database.open_pool(dsn, name="test", command_seconds=COMMAND_SECONDS))
        return PostgresDirectory(pools[-1])

    yield opened
    for pool in pools:
        pool.terminate()


@pytest.fixture
async def directory(open_directory: Open, control_database: ControlDatabase) -> PostgresDirectory:
    """One with an open cell and a tenant."""
    made = await open_directory(control_database.writer_dsn)
    await open_cell(made)
    await made.create_tenant(new_tenant(), "cell-1")
    return made


@pytest.fixture
async def admin(control_database: ControlDatabase) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A superuser in the same database."""
    connection = await database.reach(control_database.admin_dsn)
    yield connection
    await connection.close()


class Wire:
    """A way to a server, which can be cut without a word: nothing passes any more, and nobody is told."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._tasks = Tasks()
        self._passable = asyncio.Event()
        self._passable.set()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_about: object) -> None:
        await self._tasks.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._server is not None:
            self._server.close()

    @property
    def dsn(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        there = urlsplit(self._dsn)
        return self._dsn.replace(f"{there.hostname}:{there.port}", f"127.0.0.1:{port}")

    def cut(self) -> None:
        """From now on."""
        self._passable.clear()

    def fail_over(self) -> None:
        """Connections that are there are cut; new ones reach a server."""
        self.cut()
        self._passable = asyncio.Event()
        self._passable.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(self._dsn)
        server_reader, server_writer = await asyncio.open_connection(there.hostname, there.port)
        self._writers += [writer, server_writer]
        passable = self._passable
        self._tasks.spawn("there", self._pass(reader, server_writer, passable))
        self._tasks.spawn("back", self._pass(server_reader, writer, passable))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passable: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await passable.wait()
                writer.write(data)
            writer.close()


@pytest.fixture
async def wire(control_database: ControlDatabase) -> AsyncIterator[Wire]:
    """A way to the control database."""
    async with Wire(control_database.writer_dsn) as made:
        yield made


async def test_a_statement_that_takes_too_long_is_unavailable(
    directory: PostgresDirectory, admin: database.Connection
) -> None:
    """The server ends it before the client gives up, so the connection can be used again."""
    holding = admin.transaction()
    await holding.start()
    await admin.execute("SELECT FROM directory.cells FOR UPDATE")
    calls = (directory.update_cell("cell-1", CellChange(version="2")) for _ in range(12))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    assert any(isinstance(getattr(r, "__cause__", None), asyncpg.QueryCanceledError) for r in results)
    await holding.rollback()
    assert (await directory.update_cell("cell-1", CellChange(version="3"))).version == "3"


async def test_a_server_that_is_just_failing_over_is_unavailable(
    directory: PostgresDirectory, open_directory: Open, control_database: ControlDatabase
) -> None:
    """A standby that is not yet promoted only reads; trying again later helps."""
    standby = await open_directory(f"{control_database.writer_dsn}?default_transaction_read_only=on")
    assert (await standby.tenant("acme")).state == "active"
    with pytest.raises(Unavailable, match="ReadOnly"):
        await standby.change_tenant("acme", "suspend")


CLASH = """
CREATE SEQUENCE directory.clashes;
GRANT USAGE ON SEQUENCE directory.clashes TO directory_writer;
CREATE FUNCTION directory.clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('directory.clashes') <= {times} THEN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clash BEFORE UPDATE ON directory.cells FOR EACH ROW EXECUTE FUNCTION directory.clash();
"""


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_write_that_clashed_is_done_again_a_few_times(
    directory: PostgresDirectory, admin: database.Connection, state: str
) -> None:
    """Serialization failures and deadlocks are nobody's mistake; nothing is done twice."""
    before = await directory.head()
    await admin.execute(CLASH.format(state=state, times=2))
    assert (await directory.change_cell("cell-1", "cordon")).state == "cordoned"
    assert await directory.head() == before + 1
    await admin.execute("DROP TRIGGER clash ON directory.cells; DROP FUNCTION directory.clash")
    await admin.execute("DROP SEQUENCE directory.clashes")
    await admin.execute(CLASH.format(state=state, times=100))
    with pytest.raises(Unavailable):
        await directory.change_cell("cell-1", "open")
    assert await admin.fetchval("SELECT last_value FROM directory.clashes") == database.MOST_TRIES


async def test_who_gives_up_waiting_for_a_frozen_server_is_let_go_at_once(
    open_directory: Open, wire: Wire
) -> None:
    """The connection is torn down; taking leave of a server that is away would wait again."""
    directory = await open_directory(wire.dsn)
    await asyncio.gather(*(directory.head() for _ in range(3)))
    wire.cut()
    async with asyncio.timeout(3 * COMMAND_SECONDS - 0.5):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await directory.head()
    with pytest.raises(Unavailable):
        await directory.head()


async def test_a_newer_schema_with_more_columns_can_be_worked_with(
    directory: PostgresDirectory, admin: database.Connection
) -> None:
    """A `pre` upgrade adds while older programs are at work: they read what they know by its name."""
    await directory.tenants()
    await admin.execute("ALTER TABLE directory.tenants ADD COLUMN unheard_of integer")
    found = await directory.tenant("acme")
    assert (await directory.tenants(), await directory.unsettled()) == ([found], [found])


LISTENS_SINCE = """
SELECT EXISTS (SELECT FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%' AND backend_start > $1)
"""


async def test_a_server_that_went_without_a_word_is_listened_to_no_longer(
    open_directory: Open,
    wire: Wire,
    directory: PostgresDirectory,
    admin: database.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a silent fail-over the old connection stays open for ever, and would never tell of a change."""
    monkeypatch.setattr("directory.postgres.PROBE_SECONDS", 0.2)
    listener = await open_directory(wire.dsn)
    head = await listener.head()
    await listener.wait(head, 0.0)
    moment = await admin.fetchval("SELECT clock_timestamp()")
    wire.fail_over()
    async with asyncio.timeout(8), asyncio.TaskGroup() as group:
        waiting = group.create_task(_patiently(listener, head))
        await eventually(lambda: admin.fetchval(LISTENS_SINCE, moment))
        await directory.change_cell("cell-1", "cordon")
    assert waiting.result() > head
    await listener.close()


async def _patiently(listener: PostgresDirectory, head: int) -> int:
    """The number of the next change. As the publisher does: again when the directory was away."""
    while True:
        with contextlib.suppress(Unavailable):
            await listener.wait(head, 600.0)
            if (now := await listener.head()) > head:
                return now
