"""Snapshots in Redis that are too large for one reply."""

from collections.abc import AsyncIterator

import pytest

from directory import wire
from directory.errors import Unavailable
from directory.redis_feed import RedisFeed
from directory.values import CellEntry, Snapshot, TenantEntry

CELLS = {"cell-1": CellEntry("cell-1", "open", "http://10.0.0.1:80")}


def _snapshot(seq: int) -> Snapshot:
    names = [f"tenant-{number}" for number in range(5000)]
    return Snapshot("directory-1", seq, CELLS, {name: TenantEntry(name, "cell-1", seq) for name in names})


class Replaced(RedisFeed):
    """Another snapshot is put in its place while one is read, so many times."""

    def __init__(self, url: str, times: int) -> None:
        super().__init__(url)
        self.times, self.put = times, 0

    async def _snapshot_piece(self, at: int) -> tuple[int | None, bytes, bytes]:
        if at and self.put < self.times:
            self.put += 1
            await self.put_snapshot(_snapshot(7 + self.put))
        return await super()._snapshot_piece(at)


@pytest.fixture
async def feed(redis_url: str) -> AsyncIterator[RedisFeed]:
    """A Redis with a snapshot of several pieces."""
    made = RedisFeed(redis_url)
    await made.fill(_snapshot(7))
    assert len(wire.encode_snapshot(_snapshot(7))) > 2 * wire.PIECE_BYTES
    yield made
    await made.close()


async def test_it_is_read_in_pieces(feed: RedisFeed) -> None:
    """And is what was written."""
    assert await feed.snapshot() == _snapshot(7)


async def test_one_that_is_replaced_meanwhile_is_read_anew(feed: RedisFeed, redis_url: str) -> None:
    """Never half of one and half of another."""
    reader = Replaced(redis_url, 1)
    assert await reader.snapshot() == _snapshot(8)
    await reader.close()


async def test_one_that_is_replaced_all_the_time_is_left_for_later(feed: RedisFeed, redis_url: str) -> None:
    """The reader has others to serve."""
    reader = Replaced(redis_url, 1000)
    with pytest.raises(Unavailable, match="faster than it can be read"):
        await reader.snapshot()
    await reader.close()
