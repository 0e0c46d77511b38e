"""A router notices by the version pointer that what it follows is itself behind."""

import pytest

from directory.memory_pointer import MemoryPointer
from directory.pointer import Position
from directory.values import Snapshot
from router.behind import LATE_SECONDS, Behind
from router.table import Table
from runtime.clock import ManualClock
from runtime.health import Unhealthy


def _table(seq: int) -> Table:
    table = Table()
    table.adopt(Snapshot("directory", seq), "test")
    return table


async def test_a_router_is_behind_when_a_change_that_was_published_does_not_come() -> None:
    """Not at once, for a change needs its time; and no longer once it has come."""
    clock, pointer = ManualClock(), MemoryPointer()
    behind = Behind(pointer, _table(7), clock)
    assert await behind.check() == "no pointer yet"
    await pointer.put(Position("directory", 9))
    await behind.step()
    assert behind.changes == 2
    assert await behind.check() == "change 9 is published"
    clock.advance(LATE_SECONDS + 1)
    with pytest.raises(Unhealthy, match="2 changes behind"):
        await behind.check()
    behind._table.adopt(Snapshot("directory", 9), "test")
    assert await behind.check() == "change 9 is published"


async def test_another_directorys_number_says_nothing() -> None:
    """Such as one of before a restored backup."""
    pointer = MemoryPointer()
    behind = Behind(pointer, _table(7))
    await pointer.put(Position("another", 900))
    await behind.step()
    assert behind.changes == 0
