"""The table on disk, so that a router serves after a restart even when every store is down.

Written beside and renamed over the last one, each byte synced first: a reader finds the old one or the new one,
whenever the power goes. What does not match its checksums is not read (`directory.wire`).
"""

import asyncio
import glob
import os
import time
from pathlib import Path

from directory import wire
from directory.errors import BadSnapshot
from directory.turns import at_once
from directory.values import Snapshot
from router.table import Table
from runtime import logs

log = logs.get("router.disk")

BUSY_SHARE = 20
"""Writing takes at most one part in so many of the process's time, however large the table is."""


def load(path: Path) -> Snapshot | None:
    """The last table, None when there is none that can be trusted."""
    try:
        unpacking = wire.Unpacking()
        with path.open("rb") as file:
            while piece := file.read(wire.PIECE_BYTES):
                unpacking.take(piece)
        return at_once(unpacking.end())
    except FileNotFoundError:
        return None
    except (OSError, BadSnapshot) as error:
        log.error("snapshot_unreadable", path=str(path), error=str(error))
        return None


def save(path: Path, snapshot: Snapshot) -> None:
    """Write the table; OSError leaves the last one in place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            file.writelines(wire.pieces(snapshot))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def clear(path: Path) -> None:
    """Remove what writers left that were killed while they wrote. Called by the one who writes, before it does."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if left.suffix[1:].isdigit():
            left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Keeper:
    """Writes the table after it changed, not too often; and once more when the process stops."""

    def __init__(self, path: Path, table: Table, every_seconds: float) -> None:
        self._path, self._table, self._every_seconds = path, table, every_seconds
        self._saved: tuple[int, int] | None = None

    async def step(self) -> None:
        """Wait for a change, write, rest. OSError when the disk refuses; the next step tries again."""
        await self._table.changed.wait()
        self._table.changed.clear()
        started = time.monotonic()
        try:
            await self.save()
        except OSError:
            self._table.changed.set()
            raise
        spent = time.monotonic() - started
        await asyncio.sleep(max(self._every_seconds, BUSY_SHARE * spent))

    async def save(self) -> None:
        """Write the table as it is now. What began ends, though the caller is cancelled: no two write at once."""
        snapshot = self._table.snapshot()
        if snapshot is None:
            return
        writing = asyncio.get_running_loop().run_in_executor(None, save, self._path, snapshot)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
