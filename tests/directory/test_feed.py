"""The contract of the cache, asked of every implementation (`cache` is Redis and its twin in turn)."""

import asyncio
from collections.abc import Sequence

import pytest

from directory.errors import Gap, Unavailable
from directory.feed import Cache
from directory.memory import MemoryDirectory
from directory.publisher import BATCH, SNAPSHOT_SECONDS, Publisher
from directory.redis_feed import TENANTS, RedisFeed
from directory.truth import Directory
from directory.values import CellEntry, Change, Snapshot, TenantEntry
from runtime.clock import ManualClock
from runtime.embedded import ports
from tests.directory.examples import new_tenant, open_cell

IDENTITY = "directory-1"
CELL = CellEntry("cell-1", "open", "http://127.0.0.1:9000")


def _change(seq: int, tenant: str = "acme", cell: str | None = "cell-1") -> Change:
    return Change(seq, TenantEntry(tenant, cell, seq * 10))


def _snapshot(seq: int, *tenants: str) -> Snapshot:
    entries = {name: TenantEntry(name, "cell-1", number + 1) for number, name in enumerate(tenants)}
    return Snapshot(IDENTITY, seq, {"cell-1": CELL}, entries)


async def test_an_empty_cache_has_nothing_and_says_so(cache: Cache) -> None:
    """Empty is not the same as "there is no such tenant"."""
    assert await cache.snapshot() is None
    assert await cache.published(IDENTITY) is None
    with pytest.raises(Unavailable):
        await cache.look_up("acme")
    with pytest.raises(Gap):
        await cache.publish(IDENTITY, [_change(1)])
    with pytest.raises(Gap):
        await cache.changes(IDENTITY, 0, 0.01)


async def test_a_filled_cache_answers_like_its_snapshot(cache: Cache) -> None:
    """Snapshot, number and look-up agree."""
    snapshot = _snapshot(7, "acme", "bolt")
    await cache.fill(snapshot)
    assert await cache.snapshot() == snapshot
    assert await cache.published(IDENTITY) == 7
    assert await cache.look_up("bolt") == snapshot.tenants["bolt"]
    assert await cache.look_up("nobody") is None


async def test_published_changes_are_read_after_a_number(cache: Cache) -> None:
    """A reader names where it stands and gets the rest in order."""
    await cache.fill(_snapshot(0))
    assert await cache.publish(IDENTITY, [_change(1), Change(2, CELL), _change(3, "bolt")]) == 3
    assert await cache.changes(IDENTITY, 1, 0.01) == [Change(2, CELL), _change(3, "bolt")]
    assert await cache.changes(IDENTITY, 3, 0.01) == []
    assert await cache.look_up("bolt") == TenantEntry("bolt", "cell-1", 30)


async def test_publishing_twice_does_nothing(cache: Cache) -> None:
    """Publishers may die and repeat, or run side by side."""
    await cache.fill(_snapshot(0))
    await cache.publish(IDENTITY, [_change(1), _change(2)])
    assert await cache.publish(IDENTITY, [_change(1, "other"), _change(2), _change(3)]) == 3
    assert await cache.changes(IDENTITY, 0, 0.01) == [_change(1), _change(2), _change(3)]
    assert await cache.look_up("other") is None


async def test_a_gap_is_refused_when_publishing_and_told_when_reading(cache: Cache) -> None:
    """Numbers without gaps are how readers know that they missed nothing."""
    await cache.fill(_snapshot(5))
    with pytest.raises(Gap):
        await cache.publish(IDENTITY, [_change(7)])
    await cache.publish(IDENTITY, [_change(6)])
    for nowhere in (3, 4, 9):
        with pytest.raises(Gap):
            await cache.changes(IDENTITY, nowhere, 0.01)


async def test_the_numbers_of_another_directory_mean_nothing(cache: Cache) -> None:
    """Neither a reader nor a publisher goes on from a number that somebody else counted."""
    await cache.fill(_snapshot(7, "acme"))
    assert await cache.published("directory-2") is None
    with pytest.raises(Gap, match="another directory"):
        await cache.publish("directory-2", [_change(8, "stranger")])
    with pytest.raises(Gap, match="another directory"):
        await cache.put_snapshot(Snapshot("directory-2", 7))
    await cache.publish(IDENTITY, [_change(8)])
    with pytest.raises(Gap, match="another directory"):
        await cache.changes("directory-2", 7, 0.01)
    with pytest.raises(Unavailable, match="another directory"):
        await cache.look_up("acme", "directory-2")
    assert await cache.look_up("acme", IDENTITY) == _change(8).entry
    assert await cache.look_up("stranger") is None
    assert await cache.snapshot() == _snapshot(7, "acme")


async def test_a_snapshot_is_put_only_where_the_stream_goes_on_from_it(cache: Cache) -> None:
    """Otherwise a router that begins with it would find a gap at once, and the same snapshot again."""
    with pytest.raises(Gap):
        await cache.put_snapshot(_snapshot(3))
    await cache.fill(_snapshot(5))
    await cache.publish(IDENTITY, [_change(6), _change(7)])
    with pytest.raises(Gap):
        await cache.put_snapshot(_snapshot(4))
    for seq in (5, 6, 7):
        await cache.put_snapshot(_snapshot(seq, "acme"))
        assert await cache.snapshot() == _snapshot(seq, "acme")


async def test_a_tenant_that_left_is_unknown(cache: Cache) -> None:
    """Also to those who look one up."""
    await cache.fill(_snapshot(0, "acme"))
    await cache.publish(IDENTITY, [_change(1, "acme", None)])
    assert await cache.look_up("acme") is None


async def test_filling_anew_forgets_what_was_there(cache: Cache) -> None:
    """A cache that comes from elsewhere is replaced as a whole."""
    await cache.fill(_snapshot(0, "old"))
    await cache.publish(IDENTITY, [_change(1, "older")])
    await cache.fill(_snapshot(9, "new"))
    assert [await cache.look_up(name) for name in ("old", "older")] == [None, None]
    assert await cache.look_up("new") is not None
    with pytest.raises(Gap):
        await cache.changes(IDENTITY, 1, 0.01)


async def test_a_reader_is_woken_by_a_change(cache: Cache) -> None:
    """The change travels when it happens, not when somebody polls."""
    await cache.fill(_snapshot(0))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        reading = group.create_task(cache.changes(IDENTITY, 0, 600.0))
        await asyncio.sleep(0)
        await cache.publish(IDENTITY, [_change(1)])
    assert reading.result() == [_change(1)]


async def test_the_publisher_carries_everything_in_order(cache: Cache) -> None:
    """From an empty cache on: what the truth knows, the cache knows."""
    truth = MemoryDirectory()
    publisher = Publisher(truth, cache)
    await open_cell(truth)
    await truth.create_tenant(new_tenant("acme"), "cell-1")
    await publisher.step()
    await truth.create_tenant(new_tenant("bolt"), "cell-1")
    assert await publisher.step() == await truth.head()
    tenants = (await truth.snapshot()).tenants
    assert {name: await cache.look_up(name) for name in tenants} == tenants


async def test_flushing_publishes_everything_that_is_recorded_by_now(cache: Cache) -> None:
    """A new tenant's first request may come at once, and must find routers told; with more than one batch, too."""
    truth = MemoryDirectory()
    publisher = Publisher(truth, cache)
    await open_cell(truth, capacity_tenants=2 * BATCH)
    for n in range(BATCH + 10):
        await truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1")
        if n in (0, BATCH + 9):
            await publisher.flush()
            assert await cache.look_up(f"tenant-{n}") is not None
    await publisher.flush()
    assert await cache.published(await truth.identity()) == await truth.head()


async def test_two_publishers_side_by_side_do_no_harm(cache: Cache) -> None:
    """Nobody has to be the only one."""
    truth = MemoryDirectory()
    await open_cell(truth, capacity_tenants=100)
    await Publisher(truth, cache).step()
    for n in range(60):
        await truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1")
    await asyncio.gather(*(Publisher(truth, cache).step() for _ in range(4)))
    found = await cache.changes(await truth.identity(), 2, 0.01)
    assert [change.seq for change in found] == list(range(3, 63))


async def test_the_publisher_fills_a_cache_of_another_directory_anew(cache: Cache) -> None:
    """After a restore or a mix-up the cache follows the truth, never the reverse."""
    await cache.fill(_snapshot(1000, "stranger"))
    truth = MemoryDirectory()
    await open_cell(truth)
    await Publisher(truth, cache).step()
    assert await cache.snapshot() == await truth.snapshot()
    assert await cache.look_up("stranger") is None


async def test_two_directories_that_meet_in_one_cache_do_not_mix(cache: Cache) -> None:
    """Also when the numbers of the second go on where those of the first end."""
    first, second = MemoryDirectory(), MemoryDirectory()
    await open_cell(first)
    await Publisher(first, cache).step()
    await open_cell(second, "cell-2")
    for n in range(5):
        await second.create_tenant(new_tenant(f"tenant-{n}"), "cell-2")
    await Publisher(second, cache).step()
    assert await cache.snapshot() == await second.snapshot()
    assert await cache.look_up("tenant-0", await second.identity()) is not None
    with pytest.raises(Gap):
        await cache.changes(await first.identity(), 2, 0.01)


async def test_the_identity_of_a_directory_is_that_of_its_snapshots(truth: Directory) -> None:
    """Publishers name the one, routers know the other."""
    assert await truth.identity() == (await truth.snapshot()).identity


async def test_a_snapshot_that_misses_a_change_for_long_is_written_anew(cache: Cache) -> None:
    """Few changes must not leave a starting router with an old snapshot for days."""
    truth, clock = MemoryDirectory(), ManualClock()
    publisher = Publisher(truth, cache, clock)
    await open_cell(truth)
    await publisher.step()
    before = await truth.snapshot()
    await truth.create_tenant(new_tenant("acme"), "cell-1")
    await publisher.step()
    assert await cache.snapshot() == before
    clock.advance(SNAPSHOT_SECONDS)
    await truth.create_tenant(new_tenant("bolt"), "cell-1")
    await publisher.step()
    assert await cache.snapshot() == await truth.snapshot()


async def test_a_cache_that_fell_back_is_brought_up_with_its_snapshot(cache: Cache) -> None:
    """A Redis that comes back with an older state of itself goes on, and does not keep its old snapshot."""
    truth = MemoryDirectory()
    publisher = Publisher(truth, cache)
    await open_cell(truth)
    await publisher.step()
    before = await truth.snapshot()
    for name in ("acme", "bolt"):
        await truth.create_tenant(new_tenant(name), "cell-1")
        await publisher.step()
    await cache.fill(before)
    await publisher.step()
    assert await cache.published(await truth.identity()) == await truth.head()
    assert await cache.snapshot() == await truth.snapshot()


class Forgetful(RedisFeed):
    """A Redis that loses some keys between filling beside and swapping in."""

    loses = f"{TENANTS}:*"

    async def _fill_beside(self, beside: str, entries: Sequence[TenantEntry]) -> None:
        await super()._fill_beside(beside, entries)
        assert await self._redis.ttl(beside) > 0
        await self._redis.delete(*await self._redis.keys(self.loses))


@pytest.mark.parametrize(("loses", "left"), [(f"{TENANTS}:*", 5), ("*", None)])
async def test_a_filling_that_redis_lost_half_way_changes_nothing(
    redis_url: str, loses: str, left: int | None
) -> None:
    """An empty hash under a full snapshot would make every new tenant unknown, for ever."""
    feed = Forgetful(redis_url)
    feed.loses = loses
    sound = RedisFeed(redis_url)
    await sound.fill(_snapshot(5, "acme"))
    with pytest.raises(Unavailable):
        await feed.fill(_snapshot(9, "acme", "bolt"))
    assert await sound.published(IDENTITY) == left
    await sound.fill(_snapshot(9, "acme", "bolt"))
    assert await sound.look_up_count() == (9, 2)
    assert await sound.look_up("bolt") is not None
    await feed.close()
    await sound.close()


async def test_a_redis_that_is_away_is_unavailable_at_once() -> None:
    """Every call says so by its deadline, none hangs and none invents an answer."""
    feed = RedisFeed(f"redis://127.0.0.1:{ports.free_port('127.0.0.1')}/0")
    calls = [
        feed.snapshot(),
        feed.changes(IDENTITY, 0, 0.01),
        feed.look_up("acme"),
        feed.published(IDENTITY),
        feed.publish(IDENTITY, [_change(1)]),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            await call
    await feed.close()


async def test_a_redis_says_what_it_does_when_it_is_full(redis_url: str) -> None:
    """The embedded server refuses writes then; one that evicts would lose tenants."""
    feed = RedisFeed(redis_url)
    assert await feed.eviction_policy() == "noeviction"
    await feed.close()
