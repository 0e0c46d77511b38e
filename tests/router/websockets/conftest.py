"""One router and one cell for all tests of a module: stopping a router takes half a second."""

from collections.abc import AsyncIterator

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, running, serving, snapshot_of
from tests.waiting import eventually


@pytest.fixture(scope="module")
async def shared_cell() -> AsyncIterator[FakeCell]:
    """A cell in which the tenant acme lives."""
    async with serving(FakeCell()) as made:
        yield made


@pytest.fixture
def cell(shared_cell: FakeCell) -> FakeCell:
    """It, as new: it answers `ok` unless told otherwise."""
    shared_cell.script, shared_cell.answers = None, []
    shared_cell.seen.clear()
    return shared_cell


@pytest.fixture(scope="module")
async def feed(shared_cell: FakeCell) -> MemoryFeed:
    """A directory's cache with both in it."""
    made = MemoryFeed()
    await made.fill(snapshot_of({"cell-1": shared_cell.address}, {"acme": ("cell-1", 5)}))
    return made


@pytest.fixture(scope="module")
async def router(feed: MemoryFeed) -> AsyncIterator[Router]:
    """A router that follows it. Tests in which the cell is at fault take one of their own."""
    async with running(feed) as made:
        await eventually(lambda: len(made.table))
        yield made
