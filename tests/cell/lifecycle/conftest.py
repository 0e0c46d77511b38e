"""A customer for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.cell.cells import CellDatabase
from tests.cell.lifecycle.life import Life, life_on
from tests.cell.orchestrator.stage import staged


@pytest.fixture
async def life(cell_database: CellDatabase) -> AsyncIterator[Life]:
    """A tenant of its own, not yet onboarded."""
    async with staged(cell_database) as stage:
        yield life_on(stage)
