"""Tenants that the table does not have: asked for once, and remembered as unknown for a moment."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import Change, TenantEntry
from router.look_ups import Away, LookUps
from router.table import Table
from runtime.tasks import Tasks
from tests.router.upstreams import IDENTITY, snapshot_of

SNAPSHOT = snapshot_of({"cell-1": "http://127.0.0.1:1"}, {"acme": ("cell-1", 5)})


class CountingFeed(MemoryFeed):
    """Counts look-ups, and holds them until told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.go_on = asyncio.Event()

    async def look_up(self, tenant_id: str, identity: str | None = None) -> TenantEntry | None:
        self.asked.append(tenant_id)
        await self.go_on.wait()
        return await super().look_up(tenant_id, identity)


@pytest.fixture
async def feed() -> CountingFeed:
    made = CountingFeed()
    await made.fill(SNAPSHOT)
    return made


@pytest.fixture
async def look_ups(feed: CountingFeed) -> AsyncIterator[LookUps]:
    tasks = Tasks()
    yield LookUps(feed, Table(), tasks, unknown_seconds=60.0, most_unknown=3)
    await tasks.close()


async def test_many_who_ask_share_one_answer(feed: CountingFeed, look_ups: LookUps) -> None:
    """Also when the first of them goes away meanwhile."""
    asking = [asyncio.ensure_future(look_ups.find("acme")) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    feed.go_on.set()
    found = await asyncio.gather(*asking[1:])
    assert feed.asked == ["acme"]
    assert {entry.epoch for entry in found if entry is not None} == {5}


async def test_an_unknown_tenant_is_not_asked_for_again_at_once(feed: CountingFeed, look_ups: LookUps) -> None:
    """And what is remembered is bounded: anybody can make up names."""
    feed.go_on.set()
    for name in ("aa", "bb", "cc", "dd", "dd", "dd"):
        assert await look_ups.find(name) is None
    assert feed.asked == ["aa", "bb", "cc", "dd"]
    assert look_ups.unknown_for_seconds("dd") is not None
    assert look_ups.unknown_for_seconds("aa") is None


async def test_a_tenant_found_unknown_is_found_once_the_table_has_it(feed: CountingFeed) -> None:
    """The change stream outruns the memory of who is unknown."""
    feed.go_on.set()
    table, tasks = Table(), Tasks()
    table.adopt(SNAPSHOT, "directory")
    look_ups = LookUps(feed, table, tasks, unknown_seconds=60.0, most_unknown=3)
    assert await look_ups.find("beta") is None
    table.learn(TenantEntry("beta", "cell-1", 6))
    assert await look_ups.find("beta") == TenantEntry("beta", "cell-1", 6)
    await tasks.close()


async def test_an_unknown_tenant_is_asked_for_again_after_a_change(feed: CountingFeed) -> None:
    """It may have been created since, and its own change be still on its way."""
    feed.go_on.set()
    table, tasks = Table(), Tasks()
    table.adopt(SNAPSHOT, "directory")
    look_ups = LookUps(feed, table, tasks, unknown_seconds=60.0, most_unknown=3, least_unknown_seconds=0.0)
    assert await look_ups.find("beta") is None
    first, second = TenantEntry("other", "cell-1", 6), TenantEntry("beta", "cell-1", 7)
    await feed.publish(IDENTITY, [Change(11, first), Change(12, second)])
    table.apply(Change(11, first))
    assert await look_ups.find("beta") == second
    assert await look_ups.find("nobody") is None
    assert await look_ups.find("nobody") is None
    assert feed.asked == ["beta", "beta", "nobody"]
    await tasks.close()


async def test_a_change_of_others_does_not_bring_every_name_to_the_cache(feed: CountingFeed) -> None:
    """For a while an unknown tenant stays so whatever changes; but what the table has meanwhile is found."""
    feed.go_on.set()
    table, tasks = Table(), Tasks()
    table.adopt(SNAPSHOT, "directory")
    look_ups = LookUps(feed, table, tasks, unknown_seconds=60.0, most_unknown=3, least_unknown_seconds=60.0)
    assert await look_ups.find("beta") is None
    table.apply(Change(11, TenantEntry("other", "cell-1", 6)))
    assert await look_ups.find("beta") is None
    made = TenantEntry("beta", "cell-1", 7)
    table.apply(Change(12, made))
    assert await look_ups.find("beta") == made
    assert feed.asked == ["beta"]
    await tasks.close()


async def test_a_tenant_is_never_unknown_for_longer_than_unknown_tenants_are(feed: CountingFeed) -> None:
    """The shorter of both times counts."""
    feed.go_on.set()
    table, tasks = Table(), Tasks()
    table.adopt(SNAPSHOT, "directory")
    look_ups = LookUps(feed, table, tasks, unknown_seconds=0.0, most_unknown=3, least_unknown_seconds=60.0)
    for epoch in (6, 7):
        assert await look_ups.find("beta") is None
        table.apply(Change(table.seq + 1, TenantEntry("other", "cell-1", epoch)))
    assert feed.asked == ["beta", "beta"]
    await tasks.close()


async def test_another_directory_cannot_tell(feed: CountingFeed) -> None:
    """Neither that a tenant exists nor that it does not."""
    feed.go_on.set()
    table, tasks = Table(), Tasks()
    table.adopt(replace(SNAPSHOT, identity="another", tenants={}), "directory")
    look_ups = LookUps(feed, table, tasks, unknown_seconds=60.0, most_unknown=3)
    for name in ("acme", "nobody"):
        with pytest.raises(Away):
            await look_ups.find(name)
    await tasks.close()


async def test_nobody_can_tell_when_the_cache_is_away(feed: CountingFeed, look_ups: LookUps) -> None:
    """That is not the same as unknown, and it is not remembered."""
    feed.go_on.set()
    feed.away = True
    with pytest.raises(Away):
        await look_ups.find("acme")
    feed.away = False
    assert await look_ups.find("acme") is not None
