"""Two whole placements, of which the leader is frozen in the middle of a decision, wakes and goes on.

Nothing of it is accepted.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from runtime import database
from runtime.embedded import ports
from tests.consuls import ConsulServer
from tests.directory.examples import new_tenant, open_cell
from tests.placement.conftest import TOKEN, environment
from tests.placement.impatient import SESSION_SECONDS
from tests.servers import ControlDatabase
from tests.waiting import START_SECONDS, eventually

LEADER_SECONDS = {"postgres": "2", "consul": SESSION_SECONDS}
"""Consul may take twice as long."""
FOLLOWED_SECONDS = 60.0


class Placement:
    """One process, as it speaks to us and to operators."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}"

    async def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(FOLLOWED_SECONDS):
            return (await self.process.stdout.readline()).decode().strip()

    async def term(self) -> int:
        """That in which it is about to decide."""
        word, number = (await self.says()).split()
        assert word == "term"
        return int(number)

    async def tell(self, what: str) -> None:
        """Decide."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n".encode())
        await self.process.stdin.drain()

    async def decides(self, what: str) -> str:
        """What comes of it."""
        await self.tell(what)
        return await self.says()

    async def leading_term(self) -> int | None:
        """The term of whoever leads, as this one's API tells operators."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.get(f"{self.url}/v1/leaders") as response,
        ):
            assert response.status == 200
            leaders = (await response.json())["leaders"]
        return next((int(leader["term"]) for leader in leaders if leader["leads"]), None)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)


Start = Callable[[], Awaitable[Placement]]


@pytest.fixture
async def directory(control_database: ControlDatabase) -> AsyncIterator[PostgresDirectory]:
    """Two open cells, and a tenant in the first."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    found = PostgresDirectory(pool)
    await open_cell(found)
    await open_cell(found, "cell-2")
    created = await found.create_tenant(new_tenant("acme"), "cell-1")
    await found.applied("acme", created.revision)
    yield found
    await found.close()
    await pool.close()


@asynccontextmanager
async def _starter(control: ControlDatabase, redis_url: str, consul: ConsulServer | None) -> AsyncIterator[Start]:
    kind = "postgres" if consul is None else "consul"
    told = environment(control, redis_url) | {"CELLWAY_PLACEMENT_LEADER_SECONDS": LEADER_SECONDS[kind]}
    if consul is not None:
        told["CELLWAY_PLACEMENT_CONSUL_URL"] = consul.url
    started: list[Process] = []

    async def start() -> Placement:
        port = ports.free_port("127.0.0.1")
        env = {**os.environ, **told, "CELLWAY_PLACEMENT_PORT": str(port)}
        command = (sys.executable, "-m", "tests.placement.deciding")
        started.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=env))
        return Placement(started[-1], port)

    try:
        yield start
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture(params=["postgres", "consul"])
async def start(
    request: pytest.FixtureRequest, control_database: ControlDatabase, redis_url: str, tmp_path: Path
) -> AsyncIterator[Start]:
    """Starts placements that stand for the same election; in a Consul of their own, for its key is always one."""
    if request.param == "postgres":
        async with _starter(control_database, redis_url, None) as starter:
            yield starter
        return
    consul = ConsulServer(tmp_path / "consul").start()
    try:
        await consul.ready()
        async with _starter(control_database, redis_url, consul) as starter:
            yield starter
    finally:
        consul.kill()


@pytest.fixture
async def start_without_consul(control_database: ControlDatabase, redis_url: str) -> AsyncIterator[Start]:
    """The same, in Postgres alone."""
    async with _starter(control_database, redis_url, None) as starter:
        yield starter


async def test_a_placement_that_was_frozen_before_it_decided_decides_nothing(
    start: Start, directory: PostgresDirectory, control_database: ControlDatabase
) -> None:
    """It has read its term, and what it does next is decide. Nothing changes but what the new leader decided.

    That one loses nothing by it.
    """
    one = await start()
    first = await one.term()
    assert await one.decides("cell") == "done"
    assert await one.term() == first
    other = await start()
    await eventually(lambda: _answers(other), seconds=START_SECONDS)
    assert await other.leading_term() == first
    one.freeze()
    second = await other.term()
    assert second > first
    assert await other.decides("cell") == "done"
    before = await _everything(directory, control_database)
    one.wake()
    assert await one.decides("move") == "refused"
    assert await _everything(directory, control_database) == before
    # By now it knows that it does not lead, and is not about to decide anything.
    assert await one.leading_term() == await other.leading_term() == second
    assert await other.term() == second
    assert await other.decides("move") == "done"
    # It is followed in its turn, with a number that is taken anew.
    other.process.terminate()
    third = await one.term()
    assert third > second
    assert await one.decides("cell") == "done"


async def test_a_placement_that_was_frozen_within_a_decision_has_not_decided(
    start_without_consul: Start, directory: PostgresDirectory, control_database: ControlDatabase
) -> None:
    """Its term was right when its transaction began, so no other begins before that is over: Postgres ends it."""
    one, other = await start_without_consul(), await start_without_consul()
    leader, follower = await _in_order(one, other)
    await eventually(lambda: _answers(follower), seconds=START_SECONDS)
    first = await leader.leading_term()
    before = await directory.cell("cell-1")
    admin = await database.reach(control_database.admin_dsn)
    async with admin.transaction():
        await admin.execute("SELECT FROM directory.cells WHERE cell_id = 'cell-1' FOR UPDATE")
        await leader.tell("cell")
        await eventually(lambda: admin.fetchval(HELD_UP))
        leader.freeze()
    # What it asked for is done in its transaction, which it does not end.
    second = await follower.term()
    assert first is not None
    assert second > first
    assert await directory.cell("cell-1") == before
    assert await follower.decides("move") == "done"
    leader.wake()
    assert await leader.says() in ("unavailable", "refused")
    assert await directory.cell("cell-1") == before
    assert await follower.leading_term() == second
    await admin.close()


HELD_UP = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""


async def _in_order(one: Placement, other: Placement) -> tuple[Placement, Placement]:
    """Who leads, and is about to decide; and who follows."""
    first = asyncio.ensure_future(one.term())
    second = asyncio.ensure_future(other.term())
    done, waiting = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    for task in waiting:
        task.cancel()
    return (one, other) if first in done else (other, one)


async def _answers(placement: Placement) -> bool:
    try:
        await placement.leading_term()
    except aiohttp.ClientError:
        return False
    return True


async def _everything(directory: PostgresDirectory, control: ControlDatabase) -> object:
    pool = await database.open_pool(control.writer_dsn, name="test")
    moves = await PostgresMoves(pool).moves()
    await pool.close()
    return await directory.head(), await directory.cells(), await directory.tenant("acme"), moves
