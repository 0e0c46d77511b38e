"""A stage and a party, for all tests of the orchestrator."""

from collections.abc import AsyncIterator

import pytest

from tests.cell.cells import CellDatabase
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage, staged


@pytest.fixture
async def stage(cell_database: CellDatabase) -> AsyncIterator[Stage]:
    """A tenant of its own."""
    async with staged(cell_database) as made:
        yield made


@pytest.fixture
def ledger() -> Ledger:
    """A party outside."""
    return Ledger()
