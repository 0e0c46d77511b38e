"""Free space, looked at before a start, and a full disk recognised afterwards."""

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path

from runtime.embedded.errors import DiskFull

_SIGNS = ("No space left on device", "Disk quota exceeded")
_MEGABYTE = 1_000_000


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise `DiskFull` when the disk under `folder` (which need not exist yet) has less free."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free_bytes = shutil.disk_usage(there).free
    if free_bytes < needed_bytes:
        raise DiskFull(
            f"The disk of {folder} is full: {free_bytes // _MEGABYTE} MB are free and "
            f"{needed_bytes // _MEGABYTE} MB are needed; free some space or choose another folder."
        )


def full(folder: Path) -> DiskFull:
    """The sentence for a disk that was found full while writing."""
    return DiskFull(
        f"The disk of {folder} is full: free some space and start again; nothing that was saved is lost."
    )


def says_full(lines: Iterable[str]) -> bool:
    """Whether a server's last words are about a full disk."""
    return any(sign in line for line in lines for sign in _SIGNS)


def is_full(error: OSError) -> bool:
    """Whether an operation of ours failed because of a full disk or quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
