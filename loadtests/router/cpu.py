"""CPU time that a process and its descendants have used, by the kernel's accounting."""

import contextlib
import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_TICKS = slice(11, 15)
"""Places in /proc/<pid>/stat behind the name in brackets; proc(5): utime, stime, and those of ended children."""


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid` and of all processes below it, also of those that have ended."""
    return _own_seconds(pid) + sum(_still_running(int(child)) for child in _children(pid))


def _still_running(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it ended while we looked, as servers' helpers do


def _children(pid: int) -> list[str]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while we look
            found += (task / "children").read_text().split()
    return found


def _own_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[_TICKS])) / TICKS_A_SECOND
