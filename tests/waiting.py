"""Waiting for something to become true, by a deadline, instead of sleeping for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
LONG_SECONDS = 30.0
"""For what takes a moment, on a machine with much else to do: whoever waits in vain waits that long."""
START_SECONDS = 60.0
"""For a program to start, or to be replaced, on a machine with much else to do."""


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, seconds: float = LONG_SECONDS, every: float = 0.02
) -> T:
    """The first truthy result of `condition`. AssertionErrors within count as "not yet"; the last is raised."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
            value: T = await result if inspect.isawaitable(result) else result  # type: ignore[assignment]
            if value:
                return value
            reason: AssertionError = AssertionError(f"not true within {seconds} s: last {value!r}")
        except AssertionError as error:
            reason = error
        if time.monotonic() > end:
            raise reason
        await asyncio.sleep(every)
