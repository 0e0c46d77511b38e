"""Processes that are forked from one that has loaded everything, and come back at once when they die."""

import os
import select
import signal
import sys
from collections.abc import Callable

POLL_SECONDS = 0.02


def keep(
    count: int, run: Callable[[], int], each_time: Callable[[list[int]], None] = lambda _running: None
) -> None:
    """So many of them, until standard input ends; `each_time` sees them between two looks."""
    running: set[int] = set()
    while not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
        while running and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            running.discard(ended)
        while len(running) < count:
            process = os.fork()
            if not process:
                os._exit(run())
            running.add(process)
        each_time(sorted(running))
    for process in running:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
