"""A cell of its own for what is killed here, and the workers that are."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import aiohttp
import pytest

from cell.app.api import assemble_api
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import RunningCell, new_cell_database, settings_for
from tests.cell.crashes.points import Points
from tests.cell.programs import environment
from tests.servers import PASSWORD

ALL = os.environ.get("CELLWAY_CRASHES") == "all"
"""Every boundary and as many as the design asks for, which takes long; otherwise a part of them."""
Workers = Callable[..., AbstractContextManager[Path]]


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """It may be killed."""
    with PostgresServer(tmp_path_factory.mktemp("crashes-postgres") / "data", PASSWORD) as server:
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
def points(tmp_path: Path) -> Points:
    """None are laid yet."""
    folder = tmp_path / "points"
    folder.mkdir()
    return Points(folder)


@pytest.fixture
def workers(crashing: RunningCell, tmp_path: Path) -> Workers:
    """Starts some; gives their log."""

    @contextmanager
    def start(count: int, kill_seconds: float | None = None, *, clocks_differ: bool = False) -> Iterator[Path]:
        log = tmp_path / "workers.log"
        chance = () if kill_seconds is None else (str(kill_seconds), *(("clocks",) if clocks_differ else ()))
        words = (sys.executable, "-m", "tests.cell.crashes.workers", str(count), str(tmp_path / "points"), *chance)
        with log.open("ab") as out:
            parent = subprocess.Popen(
                words, env=environment(crashing.settings), stdin=subprocess.PIPE, stdout=out, stderr=out
            )
        try:
            yield log
        finally:
            parent.communicate(timeout=30)  # which ends its standard input

    return start
