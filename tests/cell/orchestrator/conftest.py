"""A stage and a party, for all tests of the orchestrator."""

import secrets
from collections.abc import AsyncIterator

import pytest

from cell.database import COMMAND_SECONDS
from runtime.database import open_pool
from tests.cell.cells import CellDatabase, next_epoch
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage


@pytest.fixture
async def stage(cell_database: CellDatabase) -> AsyncIterator[Stage]:
    """A tenant of its own."""
    tenant_id, epoch = f"t-{secrets.token_hex(4)}", next_epoch()
    control = await cell_database.connect("cell_control")
    try:
        await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", tenant_id, epoch)
    finally:
        await control.close()
    pool = await open_pool(
        cell_database.dsns["cell_app"], name="test", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield Stage(pool, tenant_id, epoch)
    await pool.close()


@pytest.fixture
def ledger() -> Ledger:
    """A party outside."""
    return Ledger()
