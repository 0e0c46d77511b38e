"""The table on disk: written whole or not at all, and believed only when it is whole."""

import asyncio
from pathlib import Path

import pytest

from directory import wire
from directory.memory_feed import MemoryFeed
from directory.values import Change, TenantEntry
from router import disk
from router.table import Table
from tests.router.upstreams import FakeCell, ask, get, move, running, snapshot_of
from tests.waiting import eventually

SNAPSHOT = snapshot_of({"cell-1": "http://127.0.0.1:1"}, {"acme": ("cell-1", 5), "beta": ("cell-1", 6)})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """And nothing else is left in the folder."""
    path = tmp_path / "new" / "snapshot"
    disk.save(path, SNAPSHOT)
    assert disk.load(path) == SNAPSHOT
    assert [each.name for each in path.parent.iterdir()] == ["snapshot"]


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    """A first start is no fault."""
    assert disk.load(tmp_path / "snapshot") is None


@pytest.mark.parametrize("position", range(0, len(wire.encode_snapshot(SNAPSHOT)), 7))
def test_what_was_cut_or_altered_is_not_believed(tmp_path: Path, position: int) -> None:
    """Wherever it was."""
    path = tmp_path / "snapshot"
    whole = wire.encode_snapshot(SNAPSHOT)
    path.write_bytes(whole[:position])
    assert disk.load(path) is None
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
    assert disk.load(path) is None


def test_a_failed_write_leaves_the_last_one(tmp_path: Path) -> None:
    """The folder is read-only, full, or not a folder."""
    path = tmp_path / "snapshot"
    disk.save(path, SNAPSHOT)
    (tmp_path / "file").write_text("")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        disk.save(tmp_path / "file" / "snapshot", SNAPSHOT)
    assert disk.load(path) == SNAPSHOT


async def test_changes_are_written_together(tmp_path: Path) -> None:
    """Many changes, few writings."""
    path = tmp_path / "snapshot"
    table = Table()
    table.adopt(SNAPSHOT, "directory")
    keeper = disk.Keeper(path, table, 0.01)
    await keeper.step()
    for seq in range(11, 111):
        table.apply(Change(seq, TenantEntry("acme", "cell-1", seq)))
    await keeper.step()
    assert not table.changed.is_set()
    loaded = disk.load(path)
    assert loaded is not None
    assert (loaded.seq, loaded.tenants["acme"].epoch) == (110, 110)


async def test_a_router_serves_from_disk_when_every_store_is_down(
    tmp_path: Path, feed: MemoryFeed, cell: FakeCell
) -> None:
    """What it knew when it stopped, it knows when it starts; and it goes on when the stores are back."""
    path = str(tmp_path / "snapshot")
    async with running(feed, snapshot_path=path) as first:
        await eventually(lambda: len(first.table))
        await move(feed, "beta", "cell-1", 9)
        await eventually(lambda: len(first.table) == 2)
    feed.away = True
    async with running(feed, snapshot_path=path) as second:
        assert second.table.source == "disk"
        assert (await ask(second, get())).status == 200
        found = await second.health.findings()
        assert all(each.ok for each in found if each.required)
        assert [each.name for each in found if not each.ok] == ["directory"]
        feed.away = False
        await move(feed, "gamma", "cell-1", 10)
        await eventually(lambda: len(second.table) == 3)


async def test_what_a_killed_writer_left_is_removed_at_the_next_start(tmp_path: Path, feed: MemoryFeed) -> None:
    """A whole table each time would fill the disk; what else lies there is not the router's."""
    (tmp_path / ".snapshot.4194304").write_text("half a table")
    (tmp_path / ".snapshot.note").write_text("somebody's")
    async with running(feed, snapshot_path=str(tmp_path / "snapshot")):
        pass
    assert _names(tmp_path) == [".snapshot.note", "snapshot"]


async def test_a_writing_that_began_ends_before_the_next_one_may_begin(tmp_path: Path) -> None:
    """A router that is told to stop writes once more: never beside a thread that still writes."""
    table = Table()
    table.adopt(SNAPSHOT, "directory")
    keeper = disk.Keeper(tmp_path / "snapshot", table, 60.0)
    for _ in range(20):
        writing = asyncio.ensure_future(keeper.save())
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert _names(tmp_path) == ["snapshot"]


async def test_a_broken_file_does_not_keep_a_router_from_starting(tmp_path: Path, feed: MemoryFeed) -> None:
    """It asks the directory, and writes a good one."""
    path = tmp_path / "snapshot"
    path.write_text("nonsense")
    async with running(feed, snapshot_path=str(path)) as router:
        await eventually(lambda: len(router.table))
        written = await eventually(lambda: disk.load(path))
        assert written == await feed.snapshot()
