"""What the limit of requests at a time learns from: how long the cell took, not how long this process did."""

from time import monotonic

import pytest

from directory.resolver import CheckedResolver
from directory.values import CellEntry
from router.outbox import Outbox
from router.upstream.pool import Limits, Pool

UNLOADED_SECONDS, SLOW_SECONDS = 0.001, 0.030


@pytest.mark.parametrize(("turn_seconds", "falls"), [(0.001, True), (0.020, False)])
async def test_a_cell_is_not_blamed_for_long_turns_of_the_router(turn_seconds: float, falls: bool) -> None:
    """Else a busy router would give its cells less and less to do, and be no less busy for it."""
    resolver = CheckedResolver()
    pool = Pool(CellEntry("cell-1", "open", "http://127.0.0.1:1"), Limits(), resolver)
    first, now = pool.concurrency.limit, monotonic()

    def answered(seconds: float, under_way: int) -> None:
        nonlocal now
        now += 1.0
        pool.awaiting = under_way
        for _ in range(100):
            pool.sample(seconds)
        pool.adapt(now)

    for _ in range(5):
        answered(UNLOADED_SECONDS, 1)
    pool.outbox.turn_seconds = turn_seconds
    for _ in range(5):
        answered(SLOW_SECONDS, first)
    assert (pool.concurrency.limit < first) == falls
    assert (pool.concurrency.limit > first) == (not falls)
    pool.awaiting = 0
    pool.close()
    await resolver.close()


def test_a_turn_lasts_from_the_first_that_has_something_to_send_until_all_of_it_is_sent() -> None:
    """It is measured, not guessed, and a turn that ends at once is short."""
    ends: list[object] = []
    outbox = Outbox(ends.append)

    class Sender:
        """Sends slowly."""

        def flush(self) -> None:
            until = monotonic() + 0.01
            while monotonic() < until:
                pass

    outbox.add(Sender())
    outbox.add(Sender())
    assert len(ends) == 1
    assert outbox.turn_seconds == 0.0
    outbox.flush()
    assert outbox.turn_seconds >= 0.02
