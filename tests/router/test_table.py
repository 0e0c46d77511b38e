"""The table's rules: order by epoch, no gaps, all or nothing; and following the directory's cache."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import Gap, Unavailable
from directory.feed import Cache
from directory.memory_feed import MemoryFeed
from directory.redis_feed import RedisFeed
from directory.values import CellEntry, Change, Snapshot, TenantEntry
from router.errors import OutOfOrder, SnapshotRefused
from router.follower import Follower
from router.rules.adoption import Doubt
from router.table import Table
from runtime.health import Unhealthy
from tests.router.upstreams import IDENTITY, snapshot_of

CELLS = {"cell-1": "http://127.0.0.1:1", "cell-2": "http://127.0.0.1:2"}


def table_with(tenants: dict[str, tuple[str, int]], seq: int = 10) -> Table:
    table = Table()
    table.adopt(snapshot_of(CELLS, tenants, seq), "directory")
    return table


def epoch_of(table: Table, tenant: str) -> int | None:
    entry = table.find(tenant)
    return None if entry is None else entry.epoch


def test_changes_follow_without_a_gap() -> None:
    """One that was taken is skipped; one too far on is refused and changes nothing."""
    table = table_with({"acme": ("cell-1", 5)})
    table.apply(Change(11, TenantEntry("acme", "cell-2", 6)))
    table.apply(Change(11, TenantEntry("acme", "cell-1", 5)))
    with pytest.raises(OutOfOrder):
        table.apply(Change(13, TenantEntry("acme", "cell-1", 7)))
    table.apply(Change(12, CellEntry("cell-3", "open", "http://127.0.0.1:3")))
    assert (table.seq, epoch_of(table, "acme"), len(table.cells)) == (12, 6, 3)


def test_nothing_is_applied_before_there_is_a_snapshot() -> None:
    """A change alone says nothing about all the others."""
    with pytest.raises(OutOfOrder):
        Table().apply(Change(1, TenantEntry("acme", "cell-1", 5)))


def test_a_deleted_tenant_stays_away() -> None:
    """Even when a look-up that was under way, or an older snapshot's line, brings it back."""
    table = table_with({"acme": ("cell-1", 5)})
    table.apply(Change(11, TenantEntry("acme", None, 7)))
    table.learn(TenantEntry("acme", "cell-1", 5))
    table.adopt(snapshot_of(CELLS, {"acme": ("cell-1", 6), "beta": ("cell-1", 8)}, 12), "directory")
    assert table.find("acme") is None
    table.learn(TenantEntry("acme", "cell-2", 9))
    assert epoch_of(table, "acme") == 9


def test_a_snapshot_never_takes_a_tenant_back() -> None:
    """What a look-up brought is newer than a snapshot that does not have it yet."""
    table = table_with({"acme": ("cell-1", 5)})
    table.learn(TenantEntry("acme", "cell-2", 9))
    table.adopt(snapshot_of(CELLS, {"acme": ("cell-1", 5)}, 11), "directory")
    assert epoch_of(table, "acme") == 9


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (snapshot_of(CELLS, {"acme": ("cell-1", 9)}, 9), Doubt.OLDER),
        (Snapshot("another", 99, {}, {"acme": TenantEntry("acme", "cell-1", 9)}), Doubt.FOREIGN),
        (snapshot_of(CELLS, {}, 99), Doubt.EMPTY),
        (snapshot_of(CELLS, {"tenant-1": ("cell-1", 9)}, 99), Doubt.SHRUNK),
    ],
)
def test_a_refused_snapshot_changes_nothing(offered: Snapshot, reason: Doubt) -> None:
    """And says why."""
    table = table_with({f"tenant-{number}": ("cell-1", 5) for number in range(30)})
    before = table.snapshot()
    with pytest.raises(SnapshotRefused) as refused:
        table.adopt(offered, "directory")
    assert refused.value.reason is reason
    assert table.snapshot() == before


ENTRIES = st.builds(
    TenantEntry, st.sampled_from(["acme", "beta"]), st.sampled_from(["cell-1", "cell-2", None]), st.integers(1, 9)
)


@given(st.lists(st.tuples(st.sampled_from(["change", "learn", "snapshot"]), ENTRIES), max_size=30))
def test_no_order_of_events_takes_an_epoch_back(events: list[tuple[str, TenantEntry]]) -> None:
    """Changes, look-ups and snapshots come as they like."""
    table = table_with({"acme": ("cell-1", 1), "beta": ("cell-1", 1)})
    highest = {"acme": 1, "beta": 1}
    for kind, entry in events:
        if kind == "change":
            table.apply(Change(table.seq + 1, entry))
        elif kind == "learn":
            table.learn(entry)
        elif entry.cell_id is not None:
            both = dict.fromkeys(("acme", "beta"), (entry.cell_id, entry.epoch))
            table.adopt(snapshot_of(CELLS, both, table.seq + 1), "directory")
        for name in ("acme", "beta"):
            now = epoch_of(table, name)
            assert now is None or now >= highest[name]
            highest[name] = max(highest[name], now or 0)


async def test_whoever_waits_for_a_newer_entry_is_woken_by_it() -> None:
    """Not by an older one, and not later than its deadline."""
    table = table_with({"acme": ("cell-1", 5)})
    waiting = asyncio.ensure_future(table.newer("acme", 5, 5.0))
    await asyncio.sleep(0)
    table.learn(TenantEntry("acme", "cell-1", 4))
    table.apply(Change(11, TenantEntry("acme", "cell-2", 6)))
    entry = await waiting
    assert entry is not None
    assert entry.epoch == 6
    assert await table.newer("acme", 6, 0.01) is None
    assert not table._newer


# --- following ---


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """Both implementations of the directory's cache."""
    if request.param == "memory":
        yield MemoryFeed()
        return
    feed = RedisFeed(request.getfixturevalue("redis_url"))
    yield feed
    await feed.close()


async def test_a_follower_takes_the_snapshot_and_then_every_change(cache: Cache) -> None:
    """In order, whichever cache it is."""
    table = Table()
    follower = Follower(cache, table, wait_seconds=0.05)
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}))
    await follower.step()
    assert table.seq == 10
    await cache.publish(
        IDENTITY, [Change(11, TenantEntry("acme", "cell-2", 6)), Change(12, TenantEntry("beta", "cell-1", 7))]
    )
    await follower.step()
    assert (table.seq, epoch_of(table, "acme"), epoch_of(table, "beta")) == (12, 6, 7)
    assert follower.trouble is None


async def test_a_gap_is_filled_by_a_snapshot(cache: Cache) -> None:
    """The cache was emptied and filled anew, and what lies between is no longer kept."""
    table = Table()
    follower = Follower(cache, table, wait_seconds=0.05)
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}))
    await follower.step()
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-2", 25)}, 30))
    for _ in range(3):
        await follower.step()
    assert (table.seq, epoch_of(table, "acme")) == (30, 25)


async def test_a_fresh_installation_is_ready_without_a_table(cache: Cache) -> None:
    """The cache answered that there is nothing yet, which is all there is to know."""
    table = Table()
    follower = Follower(cache, table, wait_seconds=0.05)
    with pytest.raises(Unhealthy):
        await follower.check_table()
    await follower.step()
    await follower.check_table()
    with pytest.raises(Unhealthy):
        await follower.check_directory()
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}))
    await follower.step()
    assert epoch_of(table, "acme") == 5


async def test_a_table_from_disk_goes_on_where_the_stream_does(cache: Cache) -> None:
    """A snapshot in the cache that is merely older than ours is not needed, and no cause for alarm."""
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}, 10))
    changes = [Change(seq, TenantEntry("acme", "cell-1", seq)) for seq in range(11, 15)]
    await cache.publish(IDENTITY, changes)
    table = table_with({"acme": ("cell-1", 12)}, 12)
    follower = Follower(cache, table, wait_seconds=0.05)
    await follower.step()
    assert (table.seq, epoch_of(table, "acme"), follower.refused) == (14, 14, None)


async def test_a_stream_that_goes_on_is_followed_whatever_the_snapshot_says(cache: Cache) -> None:
    """Half of all tenants may leave: who saw each of them go has nothing to doubt."""
    tenants = {f"tenant-{number}": ("cell-1", number + 1) for number in range(30)}
    table = table_with(tenants, 32)
    await cache.fill(snapshot_of(CELLS, tenants, 32))
    left = [Change(33 + number, TenantEntry(f"tenant-{number}", None, 40 + number)) for number in range(20)]
    await cache.publish(IDENTITY, left)
    kept = {name: home for name, home in tenants.items() if home[1] > 20}
    await cache.put_snapshot(snapshot_of(CELLS, kept, 52))
    follower = Follower(cache, table, wait_seconds=0.05)
    await follower.step()
    assert (table.seq, len(table), follower.refused, follower.trouble) == (52, 10, None, None)


async def test_a_cache_that_fell_back_is_followed_again_once_it_caught_up(cache: Cache) -> None:
    """Until then it is shown that it is not believed; its old snapshot is never taken."""
    table = table_with({"acme": ("cell-1", 12)}, 12)
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-2", 3)}, 7))
    follower = Follower(cache, table, wait_seconds=0.05)
    for _ in range(3):
        with pytest.raises(Unavailable, match="refused"):
            await follower.step()
    assert (table.seq, follower.refused) == (12, Doubt.OLDER)
    await cache.publish(IDENTITY, [Change(seq, TenantEntry("acme", "cell-1", seq)) for seq in range(8, 15)])
    await follower.step()
    assert (table.seq, epoch_of(table, "acme"), follower.refused, follower.trouble) == (14, 14, None, None)


async def test_a_refused_snapshot_is_taken_once_it_may_be_believed(cache: Cache) -> None:
    """Both ways are tried again and again; whichever opens first is taken."""
    table = table_with({"acme": ("cell-1", 12)}, 12)
    await cache.fill(snapshot_of(CELLS, {}, 30))
    follower = Follower(cache, table, wait_seconds=0.05)
    with pytest.raises(Unavailable, match="refused"):
        await follower.step()
    await cache.put_snapshot(snapshot_of(CELLS, {"acme": ("cell-2", 20)}, 30))
    for _ in range(2):
        await follower.step()
    assert (table.seq, epoch_of(table, "acme"), follower.refused, follower.trouble) == (30, 20, None, None)


async def test_the_stream_of_another_directory_is_not_followed(cache: Cache) -> None:
    """Though its numbers go on just where the table stands."""
    table = table_with({"acme": ("cell-1", 12)}, 12)
    await cache.fill(Snapshot("another", 12, {}, {}))
    await cache.publish("another", [Change(13, TenantEntry("acme", "cell-9", 99))])
    follower = Follower(cache, table, wait_seconds=0.05)
    with pytest.raises(Unavailable, match="refused"):
        await follower.step()
    assert (table.seq, epoch_of(table, "acme"), follower.refused) == (12, 12, Doubt.FOREIGN)


async def test_an_empty_cache_confirms_nothing(cache: Cache) -> None:
    """That nothing comes from it does not say that nothing happened."""
    follower = Follower(cache, table_with({"acme": ("cell-1", 12)}, 12), wait_seconds=0.05)
    await follower.step()
    assert follower.age_seconds is None
    with pytest.raises(Unhealthy, match="empty"):
        await follower.check_directory()


async def test_the_first_answer_is_not_waited_for_like_a_change(cache: Cache) -> None:
    """A router with a table from disk is ready as soon as a quiet directory confirms it."""
    table = table_with({"acme": ("cell-1", 12)}, 12)
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 12)}, 12))
    follower = Follower(cache, table, wait_seconds=600.0)
    async with asyncio.timeout(20):
        await follower.step()
    assert follower.heard.is_set()
    assert follower.age_seconds is not None


async def test_a_snapshot_that_leads_nowhere_is_not_read_in_a_hurry(cache: Cache) -> None:
    """The stream misses what comes after it: the next try waits its turn, and the gap is shown."""
    table = table_with({"acme": ("cell-1", 12)}, 12)
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 12)}, 7))
    await cache.put_snapshot(snapshot_of(CELLS, {"acme": ("cell-1", 12)}, 12))
    follower = Follower(cache, table, wait_seconds=0.05)
    with pytest.raises(Unavailable, match="does not fill it"):
        await follower.step()
    with pytest.raises(Unhealthy, match="does not fill it"):
        await follower.check_directory()


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (snapshot_of(CELLS, {"acme": ("cell-2", 3)}, 3), Doubt.OLDER),
        (Snapshot("another", 99, {}, {"acme": TenantEntry("acme", "cell-2", 99)}), Doubt.FOREIGN),
        (snapshot_of(CELLS, {}, 99), Doubt.EMPTY),
    ],
)
async def test_a_cache_that_is_not_believed_is_shown_and_changes_nothing(offered: Snapshot, reason: Doubt) -> None:
    """Restored from last week, of somebody else, or emptied: the table stays, and so do its tenants."""
    cache = MemoryFeed()
    await cache.fill(offered)
    table = table_with({"acme": ("cell-1", 12)}, 12)
    follower = Follower(cache, table, wait_seconds=0.05)
    for _ in range(2):
        try:
            await follower.step()
        except (Unavailable, Gap):
            continue
    assert follower.refused is reason
    assert (table.seq, epoch_of(table, "acme")) == (12, 12)
    await follower.check_table()
    with pytest.raises(Unhealthy, match="refused"):
        await follower.check_directory()


async def test_a_cache_that_is_away_leaves_the_table_as_it_is() -> None:
    """It is shown, and followed again once it is back."""
    cache = MemoryFeed()
    await cache.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}))
    table = Table()
    follower = Follower(cache, table, wait_seconds=0.05)
    await follower.step()
    cache.away = True
    with pytest.raises(Unavailable):
        await follower.step()
    await follower.check_table()
    with pytest.raises(Unhealthy, match="away"):
        await follower.check_directory()
    cache.away = False
    await cache.publish(IDENTITY, [Change(11, TenantEntry("acme", "cell-2", 6))])
    await follower.step()
    assert epoch_of(table, "acme") == 6
    assert await follower.check_directory() is None
