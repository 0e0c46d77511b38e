"""A folder of secrets, and the stack standing: once for all tests here, because it is forty processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.stack.folder import fill
from tests.compose.reading import stack
from tests.compose.standing import Machine, without_stand_ins

CELLS = ("cell-1", "cell-2", "cell-3", "cell-4")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cellway secrets` makes."""
    folder = tmp_path_factory.mktemp("stack") / "secrets"
    fill(folder, CELLS)
    return folder


@pytest.fixture(scope="module")
def machine(secrets: Path) -> Iterator[Machine]:
    """Every service of compose.yaml, healthy; but for those that watch, which have tests of their own."""
    found = stack("compose.yaml")
    made = Machine(found, secrets)
    try:
        made.up(without=without_stand_ins(found))
        yield made
    finally:
        made.down()
