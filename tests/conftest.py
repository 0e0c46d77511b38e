"""Servers for all tests: one Postgres and one Redis a session, a database of its own for whoever asks.

`make test` runs tests in as many processes as there are processors (a file's in the same one), each a session with
servers of its own; then those that are marked `alone` or `platform`, in one process.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from runtime.embedded import ports
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.consuls import ConsulServer
from tests.fleets import Fleet
from tests.servers import PASSWORD, ControlDatabase, new_control_database

ALONE = ("alone", "platform", "stack")
SAYS_SO = re.compile(r"mark\.(alone|platform|stack)\b")

# Machines are noisy, so no example is judged by its time.
hypothesis.settings.register_profile(
    "cellway", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("cellway")


def pytest_configure(config: pytest.Config) -> None:
    """Processes that test side by side never choose the same port: each takes one of so many."""
    told = getattr(config, "workerinput", None)
    if told is not None:
        number, workers = int(told["workerid"].removeprefix("gw")), int(told["workercount"])
        ports._handed_out.update(port for port in range(65_536) if port % workers != number % workers)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Tests that run alone are looked for in files that say so (Makefile): elsewhere they would never run."""
    alone = {item.path for item in items if any(item.get_closest_marker(name) for name in ALONE)}
    if silent := [path.name for path in alone if not SAYS_SO.search(path.read_text(encoding="utf-8"))]:
        pytest.exit(f"say `pytest.mark.alone`, `platform` or `stack` in the file itself: {silent}", returncode=4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: list[str]) -> None:
    """Side by side, of tests with one name only one would run, without a word."""
    if twice := [name for name, number in Counter(ids).items() if number > 1]:
        pytest.exit(f"mark these `alone`, or give each a name of its own: {twice}", returncode=4)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real Postgres. Ask it for a fresh database with `new_database`."""
    # Tests create and drop many databases; what a power cut would lose does not matter here.
    fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
    fast["max_prepared_transactions"] = "4"
    with PostgresServer(tmp_path_factory.mktemp("postgres") / "data", PASSWORD, settings=fast) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, shared; whoever needs an empty one flushes it (`redis_url`)."""
    with RedisServer(tmp_path_factory.mktemp("redis") / "data", PASSWORD) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def consul_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """A real Consul, shared; skipped where it is not installed. Whoever kills one takes one of their own."""
    server = ConsulServer(tmp_path_factory.mktemp("consul")).start()
    yield server
    server.kill()


@pytest.fixture
async def own_consul(tmp_path: Path) -> AsyncIterator[ConsulServer]:
    """A real Consul for one test, which may kill or freeze it."""
    server = ConsulServer(tmp_path / "consul").start()
    try:
        await server.ready()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def control_database(postgres_server: PostgresServer) -> ControlDatabase:
    """A fresh control database for one test, or one fixture."""
    return await new_control_database(postgres_server)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A fleet's authority; skipped where openssl is not installed."""
    return Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Where the project lies."""
    return Path(__file__).parents[1]
