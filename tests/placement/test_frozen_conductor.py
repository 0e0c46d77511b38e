"""A placement as it really runs, frozen while a decision of its leader is on its way to the directory."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from directory.postgres import PostgresDirectory
from runtime import database
from runtime.embedded import ports
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.directory.examples import open_cell
from tests.placement.conftest import TOKEN, environment
from tests.placement.impatient import SESSION_SECONDS
from tests.servers import ControlDatabase
from tests.waiting import START_SECONDS, eventually

FOLLOWED_SECONDS = 60.0
PREPARED = re.compile(rb"P.{4}([^\x00]+)\x00[^\x00]*directory\.check_term", re.DOTALL)


class Wire:
    """Lies between one placement and its Postgres. Once it is armed, it keeps back the next statement by which a
    term is checked, and what follows it on that connection, until it is let go."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._server = parts.hostname, parts.port
        self._listener: asyncio.Server | None = None
        self._tasks = Tasks()
        self._armed, self._free = False, asyncio.Event()
        self.keeps = False
        self._dsn = parts

    async def start(self) -> str:
        """The DSN that leads through it."""
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        credentials = self._dsn.netloc.rpartition("@")[0]
        return self._dsn._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()

    def arm(self) -> None:
        """Keep the next one back."""
        self._armed = True

    def let_go(self) -> None:
        """Everything may pass."""
        self._armed = False
        self._free.set()

    async def close(self) -> None:
        """Nothing passes any more."""
        if self._listener is not None:
            self._listener.close()
        await self._tasks.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._server)
        self._tasks.spawn("there", self._watched(reader, back))
        self._tasks.spawn("back", self._passed(there, writer))

    async def _watched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names: set[bytes] = set()
        with suppress(OSError):
            while data := await reader.read(65_536):
                names |= set(PREPARED.findall(data))
                if self._armed and any(name in data for name in names):
                    self.keeps = True
                    await self._free.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Placement:
    """One process."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process, self.url, self.log = process, f"http://127.0.0.1:{port}", log

    async def leading_term(self) -> int | None:
        """The term of whoever leads, as this one's API tells operators."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with (
                aiohttp.ClientSession(headers=headers) as client,
                client.get(f"{self.url}/v1/leaders") as response,
            ):
                leaders = (await response.json())["leaders"] if response.status == 200 else []
        except aiohttp.ClientError:
            return None
        return next((int(leader["term"]) for leader in leaders if leader["leads"]), None)


@asynccontextmanager
async def _placement(
    control: ControlDatabase, redis_url: str, log: Path, dsn: str, consul: ConsulServer | None
) -> AsyncIterator[Placement]:
    port = ports.free_port("127.0.0.1")
    told = environment(control, redis_url) | {
        "CELLWAY_PLACEMENT_PORT": str(port),
        "CELLWAY_PLACEMENT_DIRECTORY_DSN": dsn,
        "CELLWAY_PLACEMENT_LEADER_SECONDS": "2" if consul is None else SESSION_SECONDS,
    }
    if consul is not None:
        told["CELLWAY_PLACEMENT_CONSUL_URL"] = consul.url
    with log.open("wb") as out:
        command = (sys.executable, "-m", "tests.placement.impatient")
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **told}, stderr=out)
    try:
        yield Placement(process, port, log)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(params=["postgres", "consul"])
async def consul(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ConsulServer | None]:
    """One of its own, as the leader's key is always the same; or none."""
    if request.param == "postgres":
        yield None
        return
    server = ConsulServer(tmp_path / "consul").start()
    try:
        await server.ready()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def wire(control_database: ControlDatabase) -> AsyncIterator[Wire]:
    """To the control database, for one placement."""
    made = Wire(control_database.writer_dsn)
    yield made
    await made.close()


@pytest.fixture
async def directory(control_database: ControlDatabase) -> AsyncIterator[PostgresDirectory]:
    """An empty one."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    found = PostgresDirectory(pool)
    yield found
    await found.close()
    await pool.close()


async def test_a_decision_that_was_on_its_way_while_its_leader_was_frozen_is_refused(
    consul: ConsulServer | None,
    control_database: ControlDatabase,
    directory: PostgresDirectory,
    wire: Wire,
    redis_url: str,
    tmp_path: Path,
) -> None:
    """The leader finds that a cell is drained, and says so; its word comes after another has begun a term.

    The other has said so as well, and the cell was opened and drains once more: but for its term it would do.
    """
    await open_cell(directory)
    start = control_database, redis_url

    async def state(expected: str) -> bool:
        return (await directory.cell("cell-1")).state == expected

    async with _placement(*start, tmp_path / "one.log", await wire.start(), consul) as one:
        first = await eventually(one.leading_term, seconds=START_SECONDS)
        async with _placement(*start, tmp_path / "other.log", control_database.writer_dsn, consul) as other:
            assert await eventually(other.leading_term, seconds=START_SECONDS) == first
            await eventually(lambda: _foretold(control_database))
            wire.arm()
            await directory.change_cell("cell-1", "drain")
            await eventually(lambda: wire.keeps)
            assert await state("draining")
            one.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: state("empty"), seconds=FOLLOWED_SECONDS)
            second = await other.leading_term()
            assert first is not None
            assert second is not None
            assert second > first
            other.process.send_signal(signal.SIGSTOP)
            await directory.change_cell("cell-1", "open")
            await directory.change_cell("cell-1", "drain")
            one.process.send_signal(signal.SIGCONT)
            wire.let_go()
            await eventually(lambda: _gave_up(one), seconds=FOLLOWED_SECONDS)
            other.process.send_signal(signal.SIGCONT)
            await eventually(lambda: state("empty"), seconds=FOLLOWED_SECONDS)
            # It may have been stopped between the decision and the line that tells of it.
            emptied = await eventually(lambda: _emptied(one, other))
            assert min(emptied) == second


async def _foretold(control: ControlDatabase) -> bool:
    """The leader has written down what pools use: it does so once an hour, so its next decision is another one."""
    connection = await asyncpg.connect(control.writer_dsn)
    try:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM directory.fleet_use)"))
    finally:
        await connection.close()


def _emptied(*placements: Placement) -> list[int]:
    """The terms of both times that the cell was emptied; nothing before the second was told."""
    lines = [line for placement in placements for line in _lines(placement)]
    terms = [int(line["term"]) for line in lines if line["event"] == "cell_emptied"]
    return terms if len(terms) == 2 else []


def _gave_up(placement: Placement) -> bool:
    """It was told that it does not lead; or that its transaction is over, as Postgres does not wait for ever."""
    return any(
        line["event"] == "plans_left_to_another" or line.get("task") == "carry plans out"
        for line in _lines(placement)
    )


def _lines(placement: Placement) -> list[dict[str, Any]]:
    text = placement.log.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
