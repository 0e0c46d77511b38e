"""Packed tenants equal a dictionary, whatever is done to them."""

from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.packed import LINES, Packed, Packing, pack
from directory.turns import at_once
from directory.values import Rate, TenantEntry

# Names that are each other's beginnings and ends, so that a line could be taken for another one's.
NAMES = st.text("ab-1", min_size=1, max_size=4)
RATES = st.one_of(
    st.none(), st.builds(Rate, st.floats(0, 1e9, allow_nan=False), st.integers(0, 10**9)), st.just(Rate(1e22, 1))
)
ENTRIES = st.builds(TenantEntry, NAMES, st.sampled_from(["a", "b", "1"]), st.integers(0, 2**62), RATES)


def packed(entries: dict[str, TenantEntry]) -> Packed:
    return at_once(pack(["b"], entries.values(), len(entries)))


def by_name(entries: list[TenantEntry]) -> dict[str, TenantEntry]:
    return {entry.tenant_id: entry for entry in entries}


@given(st.lists(ENTRIES, max_size=60), st.lists(NAMES, max_size=20))
def test_whoever_was_packed_is_found_and_nobody_else(entries: list[TenantEntry], others: list[str]) -> None:
    """With cell, epoch and rate; also among names that begin or end alike."""
    expected = by_name(entries)
    tenants = packed(expected)
    assert tenants == expected
    assert len(tenants) == len(expected)
    assert {name: tenants.find(name) for name in others} == {name: expected.get(name) for name in others}


@given(st.lists(ENTRIES, max_size=20), st.lists(st.one_of(ENTRIES, NAMES), max_size=120))
def test_any_order_of_changes_gives_what_a_dictionary_has(
    begin: list[TenantEntry], changes: list[TenantEntry | str]
) -> None:
    """New tenants, other cells, longer lines, deletions; and a copy stays as it was."""
    expected = by_name(begin)
    tenants = packed(expected)
    copied, before = tenants.copy(), dict(expected)
    for change in changes:
        if isinstance(change, str):
            tenants.remove(change)
            expected.pop(change, None)
        else:
            tenants.put(change)
            expected[change.tenant_id] = change
    assert tenants == expected
    assert copied == before
    assert len(tenants) == len(expected)


def test_it_grows_with_its_tenants() -> None:
    """From nothing to thousands, one at a time, each found at every size; blocks stay short."""
    tenants = Packed()
    for number in range(5000):
        tenants.put(TenantEntry(f"tenant-{number}", "cell-1", number))
    assert all(tenants[f"tenant-{number}"].epoch == number for number in range(5000))
    assert len(set(tenants)) == 5000
    assert max(block.count(b"\n") for page in tenants._pages for block in page) < 8 * LINES


def test_names_that_share_a_block_are_told_apart() -> None:
    """Whoever looks for names with the same checksum makes look-ups slow, not wrong."""
    tenants = Packed()
    names = [name for number in range(60_000) if crc32(f"\n{(name := f'x{number}')}\t".encode()) % 1024 == 7]
    for epoch, name in enumerate(names):
        tenants.put(TenantEntry(name, "cell-1", epoch))
    assert [tenants[name].epoch for name in names] == list(range(len(names)))


@pytest.mark.parametrize(
    "name", ["acme\t0", "acme\t0\t5", "acme\t0\t5\t\nbeta", "acme\n", "\nacme", "", "\ud800", "ä"]
)
def test_a_name_that_cannot_be_one_is_not_found(name: str) -> None:
    """Nobody reads another tenant's line, or half of it, by asking for a piece of text."""
    tenants = packed(by_name([TenantEntry("acme", "b", 5), TenantEntry("beta", "b", 6)]))
    assert tenants.find(name) is None
    tenants.remove(name)
    assert len(tenants) == 2


@pytest.mark.parametrize(
    "entry",
    [
        TenantEntry("ac\tme", "b", 1),
        TenantEntry("acme\n", "b", 1),
        TenantEntry("", "b", 1),
        TenantEntry("äcme", "b", 1),
        TenantEntry("acme", "b", -1),
        TenantEntry("acme", None, 1),
        TenantEntry("acme", "b", 1, Rate(float("inf"), 1)),
        TenantEntry("acme", "b", 1, Rate(1.0, -1)),
    ],
)
def test_what_no_line_can_say_is_refused(entry: TenantEntry) -> None:
    """And nothing is changed by it: what was written can always be read."""
    tenants = Packed(["b"])
    with pytest.raises(ValueError, match=r"lives nowhere|cannot be a line"):
        tenants.put(entry)
    assert dict(tenants) == {}


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"acme", b"acme\t0\t1", b"acme\t0\n", b"acme\t0\t1\t2\n", b"acme\t0\t1\t2\t3\t4\n", b"\n"),
        *(
            b"acme\t1\t1\n",
            b"acme\t00\t1\n",
            b"acme\t-1\t1\n",
            b"acme\t0\t-1\n",
            b"acme\t0\t01\n",
            b"acme\t0\tx\n",
        ),
        *(b"acme\t0\t1\tnan\t1\n", b"acme\t0\t1\t1e999\t1\n", b"acme\t0\t1\t1..2\t1\n", b"acme\t0\t1\t1.0\t-1\n"),
        *(b"\t0\t1\n", b"ac me\t0\t1\n", b"\xff\t0\t1\n", b"beta\t0\t1\n\nacme\t0\t1\n", b"beta\t0\t1\r\n"),
    ],
)
def test_text_that_is_not_whole_lines_is_refused(text: bytes) -> None:
    """Cut, empty, with an unknown cell, or with a number that is none."""
    with pytest.raises(ValueError, match=r"line|cell|rate|float"):
        Packing(["a"], 10).take(text)


def test_a_tenant_that_is_there_twice_is_refused() -> None:
    """Whichever line a look-up found would be chance."""
    packing = Packing(["a"], 10)
    packing.take(b"acme\t0\t1\nbeta\t0\t1\n")
    packing.take(b"acme\t0\t2\n")
    with pytest.raises(ValueError, match="twice"):
        at_once(packing.end())


@given(st.lists(ENTRIES, max_size=60), st.lists(ENTRIES, max_size=60))
def test_a_comparison_tells_who_is_missing_and_who_is_newer(
    mine: list[TenantEntry], others: list[TenantEntry]
) -> None:
    """Exactly, though the two have other cells, numbers of blocks and histories."""
    here, there = by_name(mine), by_name(others)
    found = list(packed(here).against(packed(there)))
    assert sum(part.missing for part in found) == len(here.keys() - there.keys())
    newer = {name for name in here.keys() & there.keys() if here[name].epoch > there[name].epoch}
    assert {entry.tenant_id: entry for part in found for entry in part.newer} == {
        name: here[name] for name in newer
    }


def test_a_copy_that_was_hardly_changed_is_compared_by_its_pages() -> None:
    """All others are the same objects, and not looked into."""
    tenants = packed({name: TenantEntry(name, "b", 1) for name in (f"tenant-{n}" for n in range(10_000))})
    copied = tenants.copy()
    copied.put(replace(tenants["tenant-77"], epoch=2))
    assert sum(1 for _ in tenants.against(tenants.copy())) == 0
    found = list(copied.against(tenants))
    assert len(found) < 20
    assert [entry.tenant_id for part in found for entry in part.newer] == ["tenant-77"]
