"""A router with one cell in which the tenant acme lives."""

from collections.abc import AsyncIterator

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, running, serving, snapshot_of
from tests.waiting import eventually


@pytest.fixture
async def cell() -> AsyncIterator[FakeCell]:
    """A cell that answers `ok` unless told otherwise."""
    async with serving(FakeCell()) as made:
        yield made


@pytest.fixture
async def feed(cell: FakeCell) -> MemoryFeed:
    """A directory's cache with that cell and acme in it."""
    made = MemoryFeed()
    await made.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
    return made


@pytest.fixture
async def router(feed: MemoryFeed) -> AsyncIterator[Router]:
    """A router that follows it."""
    async with running(feed) as made:
        await eventually(lambda: len(made.table))
        yield made
