"""Snapshots and changes as bytes: what comes back is what went in, or a refusal."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import wire
from directory.errors import BadSnapshot
from directory.turns import at_once
from directory.values import CellEntry, Rate, Snapshot, TenantEntry

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
CELLS = {f"cell-{n}": CellEntry(f"cell-{n}", "open", f"http://10.0.0.{n}:80") for n in range(3)}


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Snapshots over three cells."""
    rates = st.one_of(st.none(), st.builds(Rate, st.floats(0.001, 1e9), st.integers(1, 10**9)))
    homes = draw(
        st.dictionaries(
            names, st.tuples(st.sampled_from(sorted(CELLS)), st.integers(1, 2**62), rates), max_size=20
        )
    )
    tenants = {name: TenantEntry(name, *home) for name, home in homes.items()}
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


@given(snapshots(), st.lists(st.integers(1, 50), max_size=20))
def test_a_snapshot_may_come_in_any_pieces(snapshot: Snapshot, sizes: list[int]) -> None:
    """Of whatever lengths; and the pieces that it is written in are the whole."""
    data = b"".join(wire.pieces(snapshot))
    unpacking = wire.Unpacking()
    for size in sizes:
        unpacking.take(data[:size])
        data = data[size:]
    unpacking.take(data)
    assert at_once(unpacking.end()) == snapshot


def test_a_cell_that_only_tenants_name_survives() -> None:
    """Its own entry may still be on its way, when a router writes its table."""
    snapshot = Snapshot("directory-1", 7, CELLS, {"acme": TenantEntry("acme", "cell-9", 5)})
    assert wire.decode_snapshot(wire.encode_snapshot(snapshot)) == snapshot


@pytest.mark.parametrize(
    ("lines", "tenants"),
    [
        (b"acme\t0\t1\nacme\t0\t2\n", 2),
        (b"acme\t9\t1\n", 1),
        (b"acme\t0\tsoon\n", 1),
        (b"acme\t0\t1\n", 2),
        (b"acme\t0\t1\nbeta\t0\t1", 1),
        (b"acme\t0\t1\n", 10**18),
    ],
)
def test_lines_that_match_their_checksum_are_read_all_the_same(lines: bytes, tenants: int) -> None:
    """A writer with a fault has good checksums too."""
    cells = [["cell-0", "open", "http://10.0.0.1:80"]]
    header = {"format": 1, "identity": "d", "seq": 1, "cells": cells, "tenants": tenants}
    line = json.dumps({**header, "sha256": hashlib.sha256(lines).hexdigest()}).encode()
    with pytest.raises(BadSnapshot):
        wire.decode_snapshot(hashlib.sha256(line).hexdigest().encode() + b" " + line + b"\n" + lines)


@given(names, st.one_of(st.none(), st.sampled_from(sorted(CELLS))), st.integers(1, 2**62))
def test_a_change_survives_the_wire(tenant: str, cell: str | None, epoch: int) -> None:
    """Of tenants and of cells."""
    entry = TenantEntry(tenant, cell, epoch)
    assert wire.decode_entry(wire.encode_entry(entry)) == entry
    assert wire.decode_entry(wire.encode_entry(CELLS["cell-1"])) == CELLS["cell-1"]
