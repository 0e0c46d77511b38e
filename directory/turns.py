"""Long work in short turns, so that an event loop that serves others goes on meanwhile.

Such work is a generator: it yields wherever it may be interrupted, at least once a millisecond, and returns its
result. What it works on may have changed when it goes on.
"""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Turns = Generator[None, None, Result]

TURN_SECONDS = 0.001
"""How long the loop waits for one turn, next to what is asked of it."""


def at_once(work: Turns[Result]) -> Result:
    """All of it now, for whoever has nobody else to serve."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Result = done.value
            return result


async def in_turns(work: Turns[Result]) -> Result:
    """Its result; between two turns everybody else who is ready gets theirs. Cancelling ends it where it is."""
    try:
        while True:
            end = time.perf_counter() + TURN_SECONDS
            while time.perf_counter() < end:
                next(work)
            await asyncio.sleep(0)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        work.close()
