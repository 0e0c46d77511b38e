"""Snapshots and changes as bytes. Pure.

A snapshot is one JSON line (format, identity, seq, cells, number of tenants, SHA-256 of the rest), then one line a
tenant: `name <TAB> index of its cell <TAB> epoch`, and `<TAB> requests a second <TAB> burst` where it has a limit.
Sorted by name. Text, because people look into it; the checksum, because a file that was cut short must not pass
for a small fleet.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from directory.errors import BadSnapshot
from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry

FORMAT = 1


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
    data: dict[str, Any] = json.loads(text)
    if "tenant" in data:
        rate = Rate(float(data["rate"][0]), int(data["rate"][1])) if data.get("rate") else None
        return TenantEntry(data["tenant"], data["cell"], int(data["epoch"]), rate)
    return CellEntry(data["cell"], data["state"], data["address"])


def decode_change(seq: int, text: str | bytes) -> Change:
    """A change from its number and content."""
    return Change(seq, decode_entry(text))


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot as bytes, the same for equal snapshots."""
    cells = sorted(snapshot.cells.values(), key=lambda cell: cell.cell_id)
    index = {cell.cell_id: str(number) for number, cell in enumerate(cells)}
    body = "".join(_tenant_lines(snapshot.tenants.values(), index)).encode()
    header = {
        "format": FORMAT,
        "identity": snapshot.identity,
        "seq": snapshot.seq,
        "cells": [[cell.cell_id, cell.state, cell.address] for cell in cells],
        "tenants": body.count(b"\n"),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    # The header is covered too: a flipped digit of `seq` would be as bad as a lost tenant.
    line = json.dumps(header)
    return f"{hashlib.sha256(line.encode()).hexdigest()} {line}\n".encode() + body


def _tenant_lines(tenants: Iterable[TenantEntry], index: dict[str, str]) -> Iterable[str]:
    for entry in sorted(tenants, key=lambda entry: entry.tenant_id):
        if entry.cell_id is not None:
            rate = "" if entry.rate is None else f"\t{entry.rate.per_second!r}\t{entry.rate.burst}"
            yield f"{entry.tenant_id}\t{index[entry.cell_id]}\t{entry.epoch}{rate}\n"


def decode_snapshot(data: bytes) -> Snapshot:
    """The reverse of `encode_snapshot`. BadSnapshot for anything that was altered or cut short."""
    first, separator, body = data.partition(b"\n")
    checksum, _, line = first.partition(b" ")
    if not separator or hashlib.sha256(line).hexdigest().encode() != checksum:
        raise BadSnapshot("the header does not match its checksum")
    try:
        header = json.loads(line)
        if header["format"] != FORMAT:
            raise BadSnapshot(f"format {header['format']} is not {FORMAT}")
        if hashlib.sha256(body).hexdigest() != header["sha256"]:
            raise BadSnapshot("the tenants do not match their checksum")
        return _decoded(header, body)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadSnapshot(f"not a snapshot: {type(error).__name__}") from None


def _decoded(header: dict[str, Any], body: bytes) -> Snapshot:
    cells = [CellEntry(name, state, address) for name, state, address in header["cells"]]
    names = [cell.cell_id for cell in cells]
    tenants: dict[str, TenantEntry] = {}
    for row in body.decode().splitlines():
        tenant, number, epoch, *limits = row.split("\t")
        rate = Rate(float(limits[0]), int(limits[1])) if limits else None
        tenants[tenant] = TenantEntry(tenant, names[int(number)], int(epoch), rate)
    return Snapshot(header["identity"], int(header["seq"]), {cell.cell_id: cell for cell in cells}, tenants)
