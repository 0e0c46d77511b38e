"""What else the machine does meanwhile: a figure that was measured beside others' work is worth little."""

import os
import time
from pathlib import Path

from loadtests.router.cpu import TICKS_A_SECOND, cpu_seconds

_IDLE, _WAITING, _GUESTS = 3, 4, 8
"""Places in the first line of /proc/stat, proc(5); guests' time is within user time too."""


class Noise:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _foreign_seconds()

    def cores(self) -> float:
        """How many cores have worked for none of our processes: for others, the hypervisor, the kernel."""
        return max(0.0, (_foreign_seconds() - self._before) / (time.monotonic() - self._began))


def _foreign_seconds() -> float:
    # Everything we start is a process below this one.
    return _busy_seconds() - cpu_seconds(os.getpid())


def _busy_seconds() -> float:
    line = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    ticks = [int(word) for word in line.split()[1:]]
    return (sum(ticks[:_GUESTS]) - ticks[_IDLE] - ticks[_WAITING]) / TICKS_A_SECOND
