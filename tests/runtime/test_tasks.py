"""Background tasks have an owner, and come back when they fail."""

import asyncio
import contextlib

import pytest

from runtime.backoff import Backoff
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.waiting import eventually


async def test_kept_work_runs_again_after_a_failure() -> None:
    """It waits as long as its backoff says, by its clock."""
    clock = ManualClock()
    tasks = Tasks(clock)
    runs = []

    async def work() -> None:
        runs.append(clock.monotonic())
        if len(runs) > 2:
            await asyncio.Event().wait()
        raise ValueError("not yet")

    tasks.keep("work", work, Backoff(initial_seconds=1.0, cap_seconds=1.0))
    for expected in (1, 2, 3):
        await eventually(lambda expected=expected: len(runs) == expected)  # type: ignore[misc]
        for _ in range(3):
            await asyncio.sleep(0)
        clock.advance(1.0)
    assert runs == [0.0, 1.0, 2.0]
    await tasks.close()


async def test_closing_ends_every_task() -> None:
    """No task outlives its owner, and none may come after."""
    tasks = Tasks()
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    tasks.spawn("one", work())
    tasks.keep("two", work)
    await asyncio.sleep(0)
    await tasks.close()
    assert (ended, len(tasks)) == ([True, True], 0)
    with pytest.raises(RuntimeError, match="'three' came after"):
        tasks.spawn("three", work())


async def test_a_task_that_will_not_end_does_not_hold_its_owner() -> None:
    """Closing has a deadline too."""
    tasks = Tasks()
    stubborn, freed = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                stubborn.set()

    task = tasks.spawn("stubborn", work())
    await asyncio.sleep(0)
    await tasks.close(deadline_seconds=0.01)
    assert stubborn.is_set()
    freed.set()
    await task


async def test_a_failure_is_kept_for_whoever_awaits() -> None:
    """It is logged as well, but never swallowed."""
    tasks = Tasks()

    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await tasks.spawn("work", work())


async def test_kept_work_that_swallows_its_cancellation_ends_all_the_same() -> None:
    """Libraries do swallow it; a task that then began anew would outlive what it uses."""
    tasks = Tasks()
    started, runs = asyncio.Event(), []

    async def work() -> None:
        runs.append(True)
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    tasks.keep("work", work)
    await started.wait()
    await tasks.close()
    assert (len(runs), len(tasks)) == (1, 0)


async def test_a_cancellation_that_was_swallowed_is_said_again() -> None:
    """Otherwise a process would wait for its deadline, and leave connections open."""
    tasks = Tasks()
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.spawn("work", work())
    await started.wait()
    await tasks.close()
    assert (ended.is_set(), len(tasks)) == (True, 0)
