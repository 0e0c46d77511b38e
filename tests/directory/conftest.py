"""Each implementation of the directory's seams, so that one suite can ask all of them the same."""

from collections.abc import AsyncIterator

import pytest

from directory.feed import Cache
from directory.memory import MemoryDirectory
from directory.memory_feed import MemoryFeed
from directory.postgres import PostgresDirectory
from directory.redis_feed import RedisFeed
from directory.truth import Directory
from runtime import database
from tests.servers import new_control_database


@pytest.fixture(params=["memory", "postgres"])
async def truth(request: pytest.FixtureRequest) -> AsyncIterator[Directory]:
    """An empty directory of each kind."""
    if request.param == "memory":
        yield MemoryDirectory()
        return
    made = await new_control_database(request.getfixturevalue("postgres_server"))
    pool = await database.open_pool(made.writer_dsn, name="test", size=10)
    directory = PostgresDirectory(pool)
    yield directory
    await directory.close()
    await pool.close()


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """An empty cache of each kind."""
    if request.param == "memory":
        yield MemoryFeed()
        return
    feed = RedisFeed(request.getfixturevalue("redis_url"))
    yield feed
    await feed.close()
