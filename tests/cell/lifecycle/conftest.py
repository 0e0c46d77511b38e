"""A customer for each test."""

import pytest

from tests.cell.lifecycle.life import Life, life_on
from tests.cell.orchestrator.stage import Stage


@pytest.fixture
def life(stage: Stage) -> Life:
    """A tenant of its own, not yet onboarded."""
    return life_on(stage)
