"""A snapshot is adopted in turns: what comes meanwhile is not lost, and the table is what a naive one would be."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry
from router.errors import OutOfOrder, SnapshotRefused
from router.rules.adoption import Caution, Doubt
from router.table import Table
from tests.router.upstreams import IDENTITY, snapshot_of

CELLS = {"cell-1": "http://127.0.0.1:1", "cell-2": "http://127.0.0.1:2"}
MANY = {f"tenant-{number}": ("cell-1", number + 1) for number in range(20_000)}
"""Enough for an adoption to take more than one turn."""


def table_with(tenants: dict[str, tuple[str, int]], seq: int = 10) -> Table:
    table = Table()
    table.adopt(snapshot_of(CELLS, tenants, seq), "directory")
    return table


async def _begun(table: Table, offered: Snapshot) -> "asyncio.Task[None]":
    """An adoption that had its first turn and is not through."""
    adopting = asyncio.ensure_future(table.adopt_in_turns(offered, "directory"))
    await asyncio.sleep(0)
    assert not adopting.done()
    assert table.seq < offered.seq
    return adopting


async def test_what_is_learned_during_an_adoption_is_kept() -> None:
    """New tenants, higher epochs; and whoever waits for one is woken."""
    table = table_with(MANY)
    adopting = await _begun(table, snapshot_of(CELLS, {**MANY, "tenant-1": ("cell-1", 30_000)}, 20))
    waiting = asyncio.ensure_future(table.newer("tenant-7", 8, 20.0))
    await asyncio.sleep(0)
    learned = [TenantEntry(f"new-{number}", "cell-2", 50_000 + number) for number in range(500)]
    for entry in [*learned, TenantEntry("tenant-7", "cell-2", 40_000), TenantEntry("tenant-1", "cell-2", 20_000)]:
        table.learn(entry)
        assert table.find(entry.tenant_id) == entry
    await adopting
    assert all(table.find(entry.tenant_id) == entry for entry in learned)
    assert await waiting == table.find("tenant-7") == TenantEntry("tenant-7", "cell-2", 40_000)
    assert table.find("tenant-1") == TenantEntry("tenant-1", "cell-1", 30_000)
    assert (table.seq, len(table)) == (20, len(MANY) + 500)


async def test_changes_during_an_adoption_are_kept_unless_the_snapshot_is_older_then() -> None:
    """Deletions too; and a table that is ahead by now is not taken back."""
    table = table_with(MANY)
    adopting = await _begun(table, snapshot_of(CELLS, MANY, 12))
    table.apply(Change(11, TenantEntry("tenant-7", None, 40_000)))
    table.apply(Change(12, CellEntry("cell-3", "open", "http://127.0.0.1:3")))
    await adopting
    assert (table.seq, table.find("tenant-7"), len(table)) == (12, None, len(MANY) - 1)
    adopting = await _begun(table, snapshot_of(CELLS, {**MANY, "other": ("cell-1", 9)}, 13))
    table.apply(Change(13, TenantEntry("acme", "cell-1", 40_001)))
    table.apply(Change(14, TenantEntry("acme", "cell-1", 40_002)))
    with pytest.raises(SnapshotRefused) as refused:
        await adopting
    assert refused.value.reason is Doubt.OLDER
    assert (table.seq, table.find("other")) == (14, None)


async def test_two_adoptions_at_once_end_as_if_one_came_after_the_other() -> None:
    """The later snapshot wins, whichever is through first; nothing goes back."""
    for first, second in ((20, 21), (21, 20)):
        table = table_with(MANY)
        offered = [snapshot_of(CELLS, {**MANY, f"at-{seq}": ("cell-1", seq)}, seq) for seq in (first, second)]
        await asyncio.gather(
            *(table.adopt_in_turns(each, "directory") for each in offered), return_exceptions=True
        )
        assert table.seq == 21
        assert table.find("at-21") is not None
        assert table.find("at-20") is None


async def test_an_adoption_that_is_cancelled_changes_nothing() -> None:
    """A router that stops; and the next one begins from the start."""
    table = table_with(MANY)
    adopting = await _begun(table, snapshot_of(CELLS, {**MANY, "acme": ("cell-1", 9)}, 20))
    adopting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adopting
    assert (table.seq, len(table), table._meanwhile) == (10, len(MANY), [])
    await table.adopt_in_turns(snapshot_of(CELLS, {**MANY, "acme": ("cell-1", 9)}, 20), "directory")
    assert len(table) == len(MANY) + 1


async def test_a_large_snapshot_without_most_tenants_is_refused() -> None:
    """Others in their place do not make up for them."""
    table = table_with(MANY)
    others = {f"other-{number}": ("cell-1", number + 1) for number in range(len(MANY))}
    with pytest.raises(SnapshotRefused) as refused:
        await table.adopt_in_turns(snapshot_of(CELLS, others, 20), "directory")
    assert refused.value.reason is Doubt.SHRUNK
    assert (table.seq, table.find("other-1")) == (10, None)


def test_the_version_grows_with_everything_that_changes() -> None:
    """And with nothing else: what was found at an equal version is still so."""
    table, versions = Table(), []
    table.adopt(snapshot_of(CELLS, {"acme": ("cell-1", 5)}), "disk")
    versions.append(table.version)
    table.apply(Change(11, TenantEntry("acme", "cell-2", 6)))
    versions.append(table.version)
    table.apply(Change(12, CellEntry("cell-2", "draining", "http://127.0.0.1:2")))
    versions.append(table.version)
    table.learn(TenantEntry("acme", "cell-1", 7))
    versions.append(table.version)
    table.adopt(snapshot_of(CELLS, {"acme": ("cell-1", 8)}, 13), "directory")
    versions.append(table.version)
    assert versions == sorted(set(versions))
    table.learn(TenantEntry("acme", "cell-1", 8))
    table.apply(Change(12, TenantEntry("acme", "cell-2", 99)))
    with pytest.raises(OutOfOrder):
        table.apply(Change(99, TenantEntry("acme", "cell-2", 99)))
    assert table.version == versions[-1]


def test_another_rate_comes_by_a_change_and_not_by_a_look_up() -> None:
    """The assignment is as old as before; a look-up's answer may be older than the change."""
    table = table_with({"acme": ("cell-1", 5)})
    entry = TenantEntry("acme", "cell-1", 5, Rate(2.5, 10))
    table.apply(Change(11, entry))
    assert table.find("acme") == entry
    table.learn(TenantEntry("acme", "cell-1", 5))
    assert table.find("acme") == entry
    table.apply(Change(12, replace(entry, rate=None)))
    assert table.find("acme") == TenantEntry("acme", "cell-1", 5)


def test_a_change_that_cannot_be_kept_is_a_gap() -> None:
    """A snapshot leads on; what is in the table could always be written and read."""
    table = table_with({"acme": ("cell-1", 5)})
    with pytest.raises(OutOfOrder, match="cannot be taken"):
        table.apply(Change(11, TenantEntry("two\nlines", "cell-1", 6)))
    assert (table.seq, len(table)) == (10, 1)


class Naive:
    """The table's rules over a dictionary, all at once."""

    def __init__(self, tenants: dict[str, TenantEntry]) -> None:
        self.tenants, self.gone = tenants, dict[str, int]()

    def take(self, entry: TenantEntry, *, change: bool) -> None:
        held = self.tenants.get(entry.tenant_id)
        least = -1 if held is None else held.epoch if change else held.epoch + 1
        if entry.epoch < least or entry.epoch <= self.gone.get(entry.tenant_id, -1):
            return
        if entry.cell_id is None:
            self.tenants.pop(entry.tenant_id, None)
            self.gone[entry.tenant_id] = entry.epoch
        else:
            self.tenants[entry.tenant_id] = entry
            self.gone.pop(entry.tenant_id, None)

    def adopt(self, offered: dict[str, TenantEntry]) -> None:
        highest = {
            name: held if (held := self.tenants.get(name, entry)).epoch > entry.epoch else entry
            for name, entry in offered.items()
        }
        self.tenants = {name: entry for name, entry in highest.items() if entry.epoch > self.gone.get(name, -1)}


NAMES = ["acme", "acme-1", "acme-11", "beta", "b", "be"]
ENTRIES = st.builds(
    TenantEntry,
    st.sampled_from(NAMES),
    st.sampled_from(["cell-1", "cell-2", "cell-3", None]),
    st.integers(1, 9),
    st.sampled_from([None, Rate(1.5, 2), Rate(100.0, 200)]),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["change", "learn", "snapshot"]), st.lists(ENTRIES, max_size=6)), max_size=30
    )
)
def test_the_table_is_what_a_naive_one_would_be(events: list[tuple[str, list[TenantEntry]]]) -> None:
    """Whatever comes in whatever order."""
    table, naive = Table(Caution(vanishing_share=1.0)), Naive({})
    table.adopt(Snapshot(IDENTITY, 1), "directory")
    for kind, entries in events:
        if kind == "snapshot":
            offered = {entry.tenant_id: entry for entry in entries if entry.cell_id is not None}
            if offered or not naive.tenants:
                table.adopt(Snapshot(IDENTITY, table.seq + 1, {}, offered), "directory")
                naive.adopt(offered)
        for entry in entries if kind != "snapshot" else ():
            if kind == "change":
                table.apply(Change(table.seq + 1, entry))
            else:
                table.learn(entry)
            naive.take(entry, change=kind == "change")
        assert {name: table.find(name) for name in NAMES} == {name: naive.tenants.get(name) for name in NAMES}
        assert len(table) == len(naive.tenants)
