"""Waiting for the end of processes that are not our children."""

import os
import select
from contextlib import suppress


def ended(pid: int, seconds: float = 30.0) -> bool:
    """Whether the process is gone, or goes within `seconds`."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(handle)
    return True
