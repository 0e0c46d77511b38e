"""The contract of what pools used, asked of both implementations; and old control databases."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest

from directory.errors import NotLeader
from directory.leadership import Terms
from directory.memory import MemoryDirectory
from directory.memory_leadership import MemoryTerms
from directory.memory_uses import MemoryUses
from directory.postgres_leadership import PostgresTerms
from directory.postgres_uses import PostgresUses
from directory.uses import KEPT_DAYS, PoolUse, Uses
from runtime import database
from runtime.clock import ManualClock
from runtime.embedded.postgres import PostgresServer
from tests.servers import new_control_database

DAY_SECONDS = 86400.0
PASS = "UPDATE directory.fleet_use SET day = day - $1::int"


@dataclass
class Kept:
    """What is kept, and how days pass."""

    uses: Uses
    terms: Terms
    pass_days: Callable[[int], Awaitable[None]]


@contextlib.asynccontextmanager
async def _in_postgres(server: PostgresServer) -> AsyncIterator[Kept]:
    made = await new_control_database(server)
    pool = await database.open_pool(made.writer_dsn, name="test")
    admin = await database.reach(made.admin_dsn)

    async def pass_days(days: int) -> None:
        # At once, a row would meet the one of the day before.
        for row in await admin.fetch("SELECT DISTINCT day FROM directory.fleet_use ORDER BY day"):
            await admin.execute(f"{PASS} WHERE day = $2", days, row["day"])

    yield Kept(PostgresUses(pool), PostgresTerms(pool), pass_days)
    await admin.close()
    await pool.close()


def _in_memory() -> Kept:
    clock = ManualClock()
    directory = MemoryDirectory(clock)

    async def pass_days(days: int) -> None:
        clock.advance(days * DAY_SECONDS)

    return Kept(MemoryUses(directory), MemoryTerms(directory), pass_days)


@pytest.fixture(params=["memory", "postgres"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    """Nothing yet, of each kind."""
    if request.param == "memory":
        yield _in_memory()
        return
    async with _in_postgres(request.getfixturevalue("postgres_server")) as made:
        yield made


def use(used: float, resource: str = "tenants", region: str = "eu", most: float | None = 100.0) -> PoolUse:
    """Of two cells."""
    return PoolUse(region, resource, used, most, 2)


async def test_what_is_told_twice_a_day_is_one_row(kept: Kept) -> None:
    """Which says what was told last; however often that is."""
    term = await kept.terms.begin("placement", "one")
    for used in (10, 11, 11):
        await kept.uses.record([use(used), use(5, "storage", most=None)], term)
    today = await kept.uses.today()
    found = await kept.uses.latest(1)
    assert [(one.day, one.use) for one in found] == [(today, use(5, "storage", most=None)), (today, use(11))]


async def test_the_last_days_are_told_by_region_and_resource_in_their_order(kept: Kept) -> None:
    """A day that is not asked for is not told, and one of which nothing was told is not there."""
    term = await kept.terms.begin("placement", "one")
    for used in (1, 2, 3):
        await kept.uses.record([use(used, region="us"), use(used * 10), use(used, "cpu")], term)
        await kept.pass_days(2 if used == 2 else 1)
    today = await kept.uses.today()
    found = await kept.uses.latest(4)
    days = [today - timedelta(days=3), today - timedelta(days=1)]
    assert [one.use.used for one in found] == [2, 3, 20, 30, 2, 3]
    assert [one.day for one in found] == days * 3
    assert len(await kept.uses.latest(100)) == 9


async def test_nothing_is_kept_for_more_than_two_years(kept: Kept) -> None:
    """Whoever writes takes away what is older: a region and resource has so many rows and no more."""
    term = await kept.terms.begin("placement", "one")
    await kept.uses.record([use(1)], term)
    await kept.pass_days(1)
    await kept.uses.record([use(2)], term)
    await kept.pass_days(KEPT_DAYS - 1)
    await kept.uses.record([use(3)], term)
    assert [one.use.used for one in await kept.uses.latest(10 * KEPT_DAYS)] == [2, 3]


async def test_an_earlier_leaders_word_does_not_count(kept: Kept) -> None:
    """It may have been frozen since yesterday: the present one's stays."""
    earlier = await kept.terms.begin("placement", "one")
    later = await kept.terms.begin("placement", "other")
    await kept.uses.record([use(20)], later)
    with pytest.raises(NotLeader):
        await kept.uses.record([use(10)], earlier)
    assert [one.use.used for one in await kept.uses.latest(1)] == [20]


async def test_nothing_told_is_nothing_kept(kept: Kept) -> None:
    """As of a fleet without cells."""
    await kept.uses.record([], await kept.terms.begin("placement", "one"))
    assert await kept.uses.latest(KEPT_DAYS) == []


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
async def test_the_schema_itself_refuses_what_is_no_use(postgres_server: PostgresServer, wrong: float) -> None:
    """Forecasts are made from numbers."""
    async with _in_postgres(postgres_server) as kept:
        term = await kept.terms.begin("placement", "one")
        for use_ in (use(wrong), use(1, most=wrong)):
            with pytest.raises(asyncpg.CheckViolationError):
                await kept.uses.record([use_], term)


async def test_movers_know_nothing_of_it(postgres_server: PostgresServer) -> None:
    """Least privilege."""
    made = await new_control_database(postgres_server)
    mover = await database.reach(made.mover_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await mover.fetch("SELECT FROM directory.fleet_use")
    await mover.close()
