"""Snapshots and changes as bytes: what comes back is what went in, or a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import wire
from directory.errors import BadSnapshot
from directory.values import CellEntry, Snapshot, TenantEntry

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
CELLS = {f"cell-{n}": CellEntry(f"cell-{n}", "open", f"http://10.0.0.{n}:80") for n in range(3)}


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Snapshots over three cells."""
    homes = draw(
        st.dictionaries(names, st.tuples(st.sampled_from(sorted(CELLS)), st.integers(1, 2**62)), max_size=20)
    )
    tenants = {name: TenantEntry(name, cell, epoch) for name, (cell, epoch) in homes.items()}
    return Snapshot("directory-1", draw(st.integers(0, 2**62)), CELLS, tenants)


@given(snapshots())
def test_a_snapshot_survives_the_wire(snapshot: Snapshot) -> None:
    """Decoding is the reverse of encoding."""
    assert wire.decode_snapshot(wire.encode_snapshot(snapshot)) == snapshot


@given(snapshots(), st.data())
def test_no_altered_byte_passes(snapshot: Snapshot, data: st.DataObject) -> None:
    """One flipped bit anywhere, and the snapshot is refused."""
    good = wire.encode_snapshot(snapshot)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadSnapshot):
        wire.decode_snapshot(bytes(bad))


@given(snapshots(), st.data())
def test_no_shortened_snapshot_passes(snapshot: Snapshot, data: st.DataObject) -> None:
    """A file that was cut short must not pass for a small fleet."""
    good = wire.encode_snapshot(snapshot)
    with pytest.raises(BadSnapshot):
        wire.decode_snapshot(good[: data.draw(st.integers(0, len(good) - 1))])


@given(st.binary(max_size=200))
def test_no_rubbish_is_a_snapshot(rubbish: bytes) -> None:
    """Whatever lies in that file or key."""
    with pytest.raises(BadSnapshot):
        wire.decode_snapshot(rubbish)


@given(names, st.one_of(st.none(), st.sampled_from(sorted(CELLS))), st.integers(1, 2**62))
def test_a_change_survives_the_wire(tenant: str, cell: str | None, epoch: int) -> None:
    """Of tenants and of cells."""
    entry = TenantEntry(tenant, cell, epoch)
    assert wire.decode_entry(wire.encode_entry(entry)) == entry
    assert wire.decode_entry(wire.encode_entry(CELLS["cell-1"])) == CELLS["cell-1"]
