"""Snapshots and changes as bytes. Pure.

A snapshot is one JSON line (format, identity, seq, cells, number of tenants, SHA-256 of the rest), then one line a
tenant: `name <TAB> index of its cell <TAB> epoch`, and `<TAB> requests a second <TAB> burst` where it has a limit;
in any order, and each tenant once. Text, because people look into it; the checksum, because a file that was cut
short must not pass for a small fleet. A cell without state and address is one that only tenants name as yet.

It is written and read in pieces, and read into packed tenants (`packed`): a million of them must neither fill the
memory nor keep an event loop.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from directory.errors import BadSnapshot
from directory.packed import Packed, Packing, pack
from directory.turns import Turns, at_once
from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry

FORMAT = 1
PIECE_BYTES = 16 * 1024
"""What is read at a time: less than a millisecond's work."""


def encode_entry(entry: CellEntry | TenantEntry) -> str:
    """One change's content as JSON."""
    if isinstance(entry, CellEntry):
        return json.dumps({"cell": entry.cell_id, "state": entry.state, "address": entry.address})
    told: dict[str, Any] = {"tenant": entry.tenant_id, "cell": entry.cell_id, "epoch": entry.epoch}
    if entry.rate is not None:
        told["rate"] = [entry.rate.per_second, entry.rate.burst]
    return json.dumps(told)


def decode_entry(text: str | bytes) -> CellEntry | TenantEntry:
    """The reverse of `encode_entry`. ValueError or KeyError for anything else."""
    return _entry(json.loads(text))


def _entry(data: dict[str, Any]) -> CellEntry | TenantEntry:
    if "tenant" in data:
        rate = Rate(float(data["rate"][0]), int(data["rate"][1])) if data.get("rate") else None
        return TenantEntry(data["tenant"], data["cell"], int(data["epoch"]), rate)
    return CellEntry(data["cell"], data["state"], data["address"])


def decode_change(seq: int, text: str | bytes) -> Change:
    """A change from its number and content."""
    return Change(seq, decode_entry(text))


def decode_changes(numbers: str | bytes, texts: str | bytes) -> list[Change]:
    """Changes from a JSON list of their numbers and one of their contents. ValueError or KeyError."""
    return [Change(seq, _entry(data)) for seq, data in zip(json.loads(numbers), json.loads(texts), strict=True)]


def packed(snapshot: Snapshot) -> Turns[Packed]:
    """The snapshot's tenants, packed if they are not yet."""
    if isinstance(snapshot.tenants, Packed):
        return snapshot.tenants
    tenants = snapshot.tenants.values()
    return (yield from pack(sorted(snapshot.cells), tenants, expected=len(tenants)))


def pieces(snapshot: Snapshot) -> Iterator[bytes]:
    """A snapshot as bytes, piece by piece. A thread that writes them leaves the others most of the time."""
    tenants = at_once(packed(snapshot))
    checksum = hashlib.sha256()
    for piece in tenants.pieces():
        checksum.update(piece)
    header = {
        "format": FORMAT,
        "identity": snapshot.identity,
        "seq": snapshot.seq,
        "cells": _cell_rows(tenants.cells, snapshot.cells),
        "tenants": len(tenants),
        "sha256": checksum.hexdigest(),
    }
    # The header is covered too: a flipped digit of `seq` would be as bad as a lost tenant.
    line = json.dumps(header)
    yield f"{hashlib.sha256(line.encode()).hexdigest()} {line}\n".encode()
    yield from tenants.pieces()


def _cell_rows(named: list[str], cells: Mapping[str, CellEntry]) -> list[list[str | None]]:
    rows: list[list[str | None]] = []
    for name in dict.fromkeys([*named, *cells]):
        cell = cells.get(name)
        rows.append([name, None, None] if cell is None else [name, cell.state, cell.address])
    return rows


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot as bytes."""
    return b"".join(pieces(snapshot))


def decode_snapshot(data: bytes) -> Snapshot:
    """The reverse of `encode_snapshot`. BadSnapshot for anything that was altered or cut short."""
    unpacking = Unpacking()
    for at in range(0, len(data), PIECE_BYTES):
        unpacking.take(data[at : at + PIECE_BYTES])
    return at_once(unpacking.end())


class Unpacking:
    """A snapshot that is being read. Nothing of it may be believed before `end`."""

    def __init__(self) -> None:
        self._head = b""
        self._header: dict[str, Any] = {}
        self._cells: dict[str, CellEntry] = {}
        self._tenants: Packing | None = None
        self._checksum = hashlib.sha256()
        self._line = b""

    def take(self, piece: bytes) -> None:
        """The next bytes. BadSnapshot as soon as they cannot be part of one."""
        if self._tenants is None:
            self._head, separator, piece = (self._head + piece).partition(b"\n")
            if not separator:
                return
            self._tenants = self._opened(self._head)
        self._checksum.update(piece)
        whole, separator, self._line = (self._line + piece).rpartition(b"\n")
        if whole:
            try:
                self._tenants.take(whole + separator)
            except ValueError as error:
                raise BadSnapshot(f"not a snapshot: {error}") from None

    def end(self) -> Turns[Snapshot]:
        """The snapshot, now that all of it was taken. BadSnapshot when it is not whole."""
        if self._tenants is None:
            raise BadSnapshot("the header does not match its checksum")
        if self._checksum.hexdigest() != self._header["sha256"]:
            raise BadSnapshot("the tenants do not match their checksum")
        if self._line or len(self._tenants) != self._header["tenants"]:
            raise BadSnapshot("there are not as many tenants as the header says")
        try:
            tenants = yield from self._tenants.end()
        except ValueError as error:
            raise BadSnapshot(f"not a snapshot: {error}") from None
        return Snapshot(self._header["identity"], self._header["seq"], self._cells, tenants)

    def _opened(self, head: bytes) -> Packing:
        checksum, _, line = head.partition(b" ")
        if hashlib.sha256(line).hexdigest().encode() != checksum:
            raise BadSnapshot("the header does not match its checksum")
        try:
            self._header = header = json.loads(line)
            if header["format"] != FORMAT:
                raise BadSnapshot(f"format {header['format']} is not {FORMAT}")
            header["identity"], header["seq"] = str(header["identity"]), int(header["seq"])
            names = [str(name) for name, _, _ in header["cells"]]
            known = (CellEntry(*row) for row in header["cells"] if row[2] is not None)
            self._cells = {cell.cell_id: cell for cell in known}
            if len(set(names)) < len(names):
                raise BadSnapshot("a cell is there twice")
            return Packing(names, expected=max(0, int(header["tenants"])))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise BadSnapshot(f"not a snapshot: {type(error).__name__}") from None
