"""CPU time that a process and its descendants have used, by the kernel's accounting."""

import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_USER_TICKS, _SYSTEM_TICKS = 11, 12
"""Places in /proc/<pid>/stat behind the name in brackets; proc(5), utime and stime."""


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid` and of all processes below it that still run."""
    return sum(_own_seconds(each) for each in _with_descendants(pid))


def _with_descendants(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _with_descendants(int(child))
    return found


def _own_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / TICKS_A_SECOND
