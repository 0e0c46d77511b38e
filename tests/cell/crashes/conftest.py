"""A cell of its own for what is killed here, and the workers that are."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from cell.app.api import assemble_api
from cell.database import COMMAND_SECONDS
from runtime.database import Pool, open_pool
from runtime.embedded import ports
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import RunningCell, ask, new_cell_database, settings_for
from tests.cell.crashes.points import Points
from tests.cell.programs import environment
from tests.servers import PASSWORD
from tests.waiting import eventually

ALL = os.environ.get("CELLWAY_CRASHES") == "all"
"""Every boundary and as many as the design asks for, which takes long; otherwise a part of them."""
Workers = Callable[..., AbstractContextManager[Path]]


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """It may be killed: what the operating system has been given survives that, and need not be waited for."""
    data = tmp_path_factory.mktemp("crashes-postgres") / "data"
    with PostgresServer(data, PASSWORD, settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """It may be killed, and what is in it wiped."""
    with RedisServer(tmp_path_factory.mktemp("crashes-redis") / "data", PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
async def crashing(
    own_postgres: PostgresServer, own_redis: RedisServer, session: aiohttp.ClientSession
) -> AsyncIterator[RunningCell]:
    """Leases are short, so that nobody waits long for the dead."""
    made = await new_cell_database(own_postgres)
    settings = settings_for(
        made,
        own_redis.url,
        lease_seconds=1.0,
        worker_threads=4,
        heartbeat_seconds=1.0,
        work="tests.cell.crashes.work",
    )
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, made, session)
    finally:
        await api.lifecycle.stop()


@pytest.fixture
async def pool(crashing: RunningCell) -> AsyncIterator[Pool]:
    """For what a test looks at."""
    made = await open_pool(
        crashing.database.dsns["cell_app"], name="test", size=6, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield made
    await made.close()


@pytest.fixture
def points(tmp_path: Path) -> Points:
    """None are laid yet."""
    folder = tmp_path / "points"
    folder.mkdir()
    return Points(folder)


@contextmanager
def _program(log: Path, env: Mapping[str, str], *words: str) -> Iterator[Path]:
    """Which ends with its standard input; gives its log."""
    with log.open("ab") as out:
        parent = subprocess.Popen(
            (sys.executable, "-m", *words), env=dict(env), stdin=subprocess.PIPE, stdout=out, stderr=out
        )
    try:
        yield log
    finally:
        parent.communicate(timeout=30)


@pytest.fixture
def workers(crashing: RunningCell, tmp_path: Path) -> Workers:
    """Starts some; gives their log."""

    def start(
        count: int, kill_seconds: float | None = None, *, clocks_differ: bool = False
    ) -> AbstractContextManager[Path]:
        chance = () if kill_seconds is None else (str(kill_seconds), *(("clocks",) if clocks_differ else ()))
        words = ("tests.cell.crashes.workers", str(count), str(tmp_path / "points"), *chance)
        return _program(tmp_path / "workers.log", environment(crashing.settings), *words)

    return start


@dataclass(frozen=True, slots=True)
class DyingApi:
    """An API beside the one of the tests, at the same database: it dies, and another comes at its addresses."""

    cell: RunningCell
    """Which creates what the tests need."""
    url: str
    admin_url: str
    number: Path
    log: Path

    def kill(self) -> None:
        """Not waited for: whoever asks meets a closed door."""
        with suppress(ProcessLookupError):
            os.kill(int(self.number.read_text()), signal.SIGKILL)

    async def answers(self) -> None:
        """Return once it does."""

        async def ready() -> bool:
            try:
                return (await ask(self.cell.session, "GET", f"{self.admin_url}/health/ready")).status == 200
            except aiohttp.ClientError:
                return False

        await eventually(ready, seconds=30.0)


@pytest.fixture
async def dying_api(crashing: RunningCell, points: Points, tmp_path: Path) -> AsyncIterator[DyingApi]:
    """It runs, as a process of its own."""
    port, admin_port = ports.free_port("127.0.0.1"), ports.free_port("127.0.0.1")
    env = {
        **environment(crashing.settings),
        "CELLWAY_CELL_PORT": str(port),
        "CELLWAY_CELL_ADMIN_PORT": str(admin_port),
    }
    with _program(tmp_path / "api.log", env, "tests.cell.crashes.api", str(tmp_path / "points")) as log:
        urls = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}")
        api = DyingApi(crashing, *urls, tmp_path / "api.pid", log)
        await api.answers()
        yield api
