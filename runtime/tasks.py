"""The one place that may create background tasks.

A bare `asyncio.create_task` loses its exception and may be collected while it runs; here every task
has a name, an owner that waits for it, and a log line when it dies.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from runtime import logs
from runtime.backoff import Backoff
from runtime.clock import Clock, SystemClock

log = logs.get("runtime.tasks")
CANCEL_AGAIN_SECONDS = 0.5
"""`asyncio.wait_for` before Python 3.12, and so redis-py, swallows a cancellation that comes in the wrong moment.
Long enough for a task to clean up after the first one."""

AFRESH_SECONDS = 60.0
"""Work that went on for so long before it failed has failed anew, and not once more."""
MOST_UNTOLD = 1024
"""Failures in a row; up to there each is told whose number is a power of two."""


class Tasks:
    """Background tasks of one owner. `close` ends all of them; no task outlives it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Tasks {len(self._running)} running{' closed' if self._closed else ''}>"

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` once; a failure is logged and kept in the task for whoever awaits it."""
        if self._closed:
            work.close()
            raise RuntimeError(f"task {name!r} came after its owner closed")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(
        self, name: str, work: Callable[[], Awaitable[None]], backoff: Backoff | None = None
    ) -> asyncio.Task[Any]:
        """Run `work` again and again: at once when it returns, after `backoff` when it fails.

        What goes on failing is told at widening intervals, and once when it does no longer.
        """
        return self.spawn(name, self._keep(name, work, backoff or Backoff()))

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], backoff: Backoff) -> None:
        failures = in_a_row = 0
        # Asked each time: a library that swallows the one cancellation must not keep the work going for ever.
        while not self._closed:
            started = self._clock.monotonic()
            try:
                await work()
                if in_a_row:
                    log.info("task_recovered", task=name, failures=in_a_row)
                failures = in_a_row = 0
                await asyncio.sleep(0)  # work that returns without waiting must not starve the loop
                continue
            except Exception as error:
                # A run that lasted longer than the longest wait counts as recovered.
                lasted_seconds = self._clock.monotonic() - started
                if lasted_seconds > backoff.cap_seconds:
                    failures = 0
                in_a_row = 1 if lasted_seconds > AFRESH_SECONDS else in_a_row + 1
                if _is_told(in_a_row):
                    log.warning("task_failed", task=name, error=repr(error), failures=in_a_row)
            await self._pause(backoff.wait_seconds(failures, random.random()))  # noqa: S311 jitter
            failures += 1

    async def _pause(self, seconds: float) -> None:
        if not self._closed:
            await self._clock.sleep(seconds)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_died", task=task.get_name(), error=repr(error), exc_info=error)

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Cancel everything and wait; what still runs at the deadline is named in the log."""
        self._closed = True
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_seconds
        tasks = {task for task in self._running if task is not asyncio.current_task()}
        while tasks and (left_seconds := end - loop.time()) > 0:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=min(CANCEL_AGAIN_SECONDS, left_seconds))
        for task in tasks:
            log.error("task_will_not_end", task=task.get_name(), deadline_seconds=deadline_seconds)


def _is_told(failures: int) -> bool:
    return failures & (failures - 1) == 0 or failures % MOST_UNTOLD == 0
