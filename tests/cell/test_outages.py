"""The database stops, dies, comes late: requests end by their deadlines, and the cell recovers by itself."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from cell.app.api import assemble_api
from cell.database import COMMAND_SECONDS
from runtime.embedded import ports
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import Client, RunningCell, ask, new_cell_database, settings_for
from tests.cell.programs import running
from tests.servers import PASSWORD
from tests.waiting import START_SECONDS, eventually

POOL_SIZE, ROUNDS = 4, 10
"""Connections, and how often as many requests come at once."""


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A Postgres that may be stopped and killed."""
    with PostgresServer(tmp_path_factory.mktemp("outages") / "data", PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
async def own(
    own_postgres: PostgresServer, redis_server: RedisServer, session: aiohttp.ClientSession
) -> AsyncIterator[RunningCell]:
    """A cell on it."""
    made = await new_cell_database(own_postgres)
    settings = settings_for(made, redis_server.url, pool_size=POOL_SIZE)
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, made, session)
    finally:
        await api.lifecycle.stop()


def _everyone(server: PostgresServer) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]


@contextlib.contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """All of its processes hang, as on a machine whose disk has gone away."""
    processes = _everyone(server)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


async def _works(client: Client) -> bool:
    return (await client("GET", "/v1/accounts")).status == 200


async def test_a_database_that_hangs_hangs_no_request(own: RunningCell, own_postgres: PostgresServer) -> None:
    """503, retryable, within a few seconds, for many more requests than the pool has connections."""
    client = await own.tenant()
    assert await _works(client)
    with stopped(own_postgres):
        async with asyncio.timeout(ROUNDS * COMMAND_SECONDS - 1.0):  # they do not wait one round after the other
            answers = await asyncio.gather(*(client("GET", "/v1/accounts") for _ in range(ROUNDS * POOL_SIZE)))
        assert {answer.problem for answer in answers} == {(503, "UNAVAILABLE", True)}
        assert all("Retry-After" in answer.headers for answer in answers)
        assert (await ask(own.session, "GET", f"{own.url}/health/live")).status == 200
        ready = await ask(own.session, "GET", f"{own.api.admin_site.url}/health/ready")
        assert ready.status == 503
    await eventually(lambda: _works(client))


async def test_a_database_that_dies_and_returns_loses_no_acknowledged_write(
    own: RunningCell, own_postgres: PostgresServer
) -> None:
    """kill -9 of Postgres: 503 while it is away, then everything that was answered 201 is there."""
    client = await own.tenant()
    for i in range(5):
        assert (await client("POST", "/v1/accounts", {"account_id": f"a{i}", "display_name": "x"})).status == 201
    for process in _everyone(own_postgres)[:1]:
        process.kill()
    await asyncio.to_thread(own_postgres.child.wait, 10)  # type: ignore[union-attr]
    answer = await client("GET", "/v1/accounts")
    assert answer.problem == (503, "UNAVAILABLE", True)
    await asyncio.to_thread(own_postgres.start)
    await eventually(lambda: _works(client))
    listed = await client("GET", "/v1/accounts", params={"include_total_size": "true"})
    assert listed.json["total_size"] == 5


async def test_the_programs_start_before_their_servers(
    own: RunningCell, own_postgres: PostgresServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """They live, say that they are not ready, and become ready once the servers are there."""
    made = await new_cell_database(own_postgres, schema=False)
    redis = RedisServer(tmp_path / "redis", PASSWORD)
    await asyncio.to_thread(redis.start)
    url = redis.url
    await asyncio.to_thread(redis.stop)
    await asyncio.to_thread(own_postgres.stop)
    settings = settings_for(made, url)
    port = ports.free_port("127.0.0.1")
    try:
        async with (
            running("cell", settings, tmp_path / "api.log", CELLWAY_CELL_PORT=str(port)) as api,
            running("cell.worker", settings, tmp_path / "worker.log") as worker,
        ):
            for program in (api, worker):
                await eventually(
                    lambda program=program: _unready(session, program.admin_url), seconds=START_SECONDS
                )
            await asyncio.to_thread(own_postgres.start)
            await asyncio.to_thread(redis.start)
            await api.ready(session)
            await worker.ready(session)
            stopping = [asyncio.to_thread(program.kill, signal.SIGTERM) for program in (api, worker)]
            await asyncio.gather(*stopping)
            assert [program.process.returncode for program in (api, worker)] == [0, 0]
    finally:
        await asyncio.to_thread(own_postgres.start)
        await asyncio.to_thread(redis.stop)


async def _unready(session: aiohttp.ClientSession, admin_url: str) -> bool:
    try:
        live = await ask(session, "GET", f"{admin_url}/health/live")
        ready = await ask(session, "GET", f"{admin_url}/health/ready")
    except aiohttp.ClientError:
        return False
    return live.status == 200 and ready.status == 503
