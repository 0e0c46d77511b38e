"""Clocks and backoff."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from runtime.backoff import Backoff
from runtime.clock import ManualClock, SystemClock


async def test_sleepers_wake_when_their_time_has_come() -> None:
    """In the order of their times, not of their calls."""
    clock = ManualClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("early", 1.0)):
            group.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        clock.advance(1.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woken == ["early"]
        clock.advance(2.0)
    assert woken == ["early", "late"]
    assert (clock.now() - ManualClock().now()).total_seconds() == 3.0


def test_the_system_clock_moves_forward() -> None:
    """Its wall time carries a zone."""
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first
    assert clock.now().tzinfo is not None


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_its_floor_and_its_cap(attempt: int, chance: float) -> None:
    """Whatever the number of attempts, also when the power would overflow."""
    backoff = Backoff(initial_seconds=0.1, cap_seconds=5.0, floor_seconds=0.01)
    assert 0.01 <= backoff.wait_seconds(attempt, chance) <= 5.0


@given(st.integers(0, 100))
def test_the_longest_wait_never_shrinks(attempt: int) -> None:
    """A server that stays down is asked less and less often."""
    backoff = Backoff()
    assert backoff.ceiling_seconds(attempt) <= backoff.ceiling_seconds(attempt + 1)
