"""A full disk is one sentence."""

import errno
from pathlib import Path

import pytest

from runtime.embedded import disk
from runtime.embedded.errors import DiskFull


def test_too_little_space_is_found_before_the_start(tmp_path: Path) -> None:
    """The folder itself need not exist yet."""
    disk.require_space(tmp_path / "not" / "yet", needed_bytes=1)
    with pytest.raises(DiskFull, match=r"is full: \d+ MB are free and 1000000000000 MB are needed; free some"):
        disk.require_space(tmp_path / "not" / "yet", needed_bytes=10**18)


def test_a_full_disk_is_recognised_in_a_servers_last_words() -> None:
    """As Postgres and Redis say it, and as the system does."""
    assert disk.says_full(['FATAL:  could not write lock file "postmaster.pid": No space left on device'])
    assert disk.says_full(["# Error writing to the AOF file: Disk quota exceeded"])
    assert not disk.says_full(["FATAL:  password authentication failed"])
    assert disk.is_full(OSError(errno.ENOSPC, "full"))
