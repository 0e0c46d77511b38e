"""Each implementation of the directory's seams, so that one suite can ask all of them the same."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from directory.feed import Cache
from directory.memory import MemoryDirectory
from directory.memory_feed import MemoryFeed
from directory.memory_moves import MemoryMoves
from directory.memory_reservations import MemoryReservations
from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.postgres_reservations import PostgresReservations
from directory.redis_feed import RedisFeed
from directory.truth import Directory
from runtime import database
from runtime.clock import ManualClock
from tests.directory.moving import Stage
from tests.servers import ControlDatabase, new_control_database


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


PASS_TIME = """
UPDATE directory.moves SET lease_until = lease_until - $1::interval, claim_after = claim_after - $1::interval,
                           phase_at = phase_at - $1::interval, ended_at = ended_at - $1::interval,
                           updated_at = updated_at - $1::interval
"""
PASS_TIME_OF_RESERVATIONS = (
    "UPDATE directory.reservations SET until = until - $1::interval, created_at = created_at - $1::interval"
)
PASS_TIME_OF_EVENTS = "UPDATE directory.move_events SET at = at - $1::interval"
PASS_TIME_OF_SWITCHES = "UPDATE directory.move_switches SET until = until - $1::interval"


@contextlib.asynccontextmanager
async def postgres_stage(control: ControlDatabase) -> AsyncIterator[Stage]:
    """Each side in its own role. Time passes for rows, by moving what they know of it."""
    writers = await database.open_pool(control.writer_dsn, name="test", size=10)
    movers = await database.open_pool(control.mover_dsn, name="test", size=10)
    admin = await database.reach(control.admin_dsn)

    async def pass_time(seconds: float) -> None:
        for statement in (PASS_TIME, PASS_TIME_OF_EVENTS, PASS_TIME_OF_SWITCHES, PASS_TIME_OF_RESERVATIONS):
            await admin.execute(statement, timedelta(seconds=seconds))

    directory = PostgresDirectory(writers)
    yield Stage(directory, PostgresMoves(writers), PostgresMoves(movers), pass_time, PostgresReservations(writers))
    await admin.close()
    await movers.close()
    await writers.close()


def memory_stage() -> Stage:
    """The same moves on both sides, and a clock that is told to go on."""
    clock = ManualClock()

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    directory = MemoryDirectory(clock)
    return Stage(
        directory, MemoryMoves(directory), MemoryMoves(directory), pass_time, MemoryReservations(directory)
    )


@pytest.fixture(params=["memory", "postgres"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """An empty directory of each kind, with its moves."""
    if request.param == "memory":
        yield memory_stage()
        return
    async with postgres_stage(await new_control_database(request.getfixturevalue("postgres_server"))) as made:
        yield made


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """An empty cache of each kind."""
    if request.param == "memory":
        yield MemoryFeed()
        return
    feed = RedisFeed(request.getfixturevalue("redis_url"))
    yield feed
    await feed.close()
