"""The cell that most tests share, and tenants in it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from cell.app.api import assemble_api
from cell.app.worker import Worker
from cell.database import COMMAND_SECONDS
from runtime.database import open_pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import (
    CellDatabase,
    Client,
    RunningCell,
    new_cell_database,
    settings_for,
    worker_of,
)
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage, new_stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Schemathesis calls its tests by the operation. So are their ids: who hands tests out knows nothing else."""
    for item in items:
        operation = getattr(item, "operation_label", None)
        if operation is not None and item.id.params is None:
            item._id = item.id.with_params(operation)


@pytest.fixture(scope="session")
async def cell_database(postgres_server: PostgresServer) -> CellDatabase:
    """The database that most tests share; each takes tenants of its own."""
    return await new_cell_database(postgres_server)


@pytest.fixture(scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """One HTTP client for all tests."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made


@pytest.fixture(scope="session")
async def cell(
    cell_database: CellDatabase, redis_server: RedisServer, session: aiohttp.ClientSession
) -> AsyncIterator[RunningCell]:
    """The cell that most tests share."""
    settings = settings_for(cell_database, redis_server.url)
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, cell_database, session)
    finally:
        await api.lifecycle.stop()


@pytest.fixture
async def worker(cell: RunningCell) -> AsyncIterator[Worker]:
    """A worker for the shared cell, in this process."""
    async with worker_of(cell.settings) as made:
        yield made


@pytest.fixture
async def client(cell: RunningCell) -> Client:
    """A tenant of its own for each test."""
    return await cell.tenant()


@pytest.fixture
async def stage(cell_database: CellDatabase) -> AsyncIterator[Stage]:
    """A tenant of its own, whose work a test carries out itself."""
    pool = await open_pool(
        cell_database.dsns["cell_app"], name="test", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield await new_stage(cell_database, pool)
    await pool.close()


@pytest.fixture
def ledger() -> Ledger:
    """A party outside."""
    return Ledger()
