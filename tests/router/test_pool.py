"""The connections to one cell: a turn that came is never lost, and none that is closed is lent."""

import asyncio
import time
from time import monotonic

import pytest

from directory.resolver import CheckedResolver
from directory.values import CellEntry
from router.errors import Unreached
from router.rules.decide import Outcome
from router.tenants import Tenant
from router.upstream.pool import Limits, Pool, Sign
from tests.router.upstreams import FakeCell, get


def _stand_still(seconds: float) -> None:
    """Keep the whole process busy, so that several deadlines are over when the loop looks again."""
    time.sleep(seconds)


async def test_a_turn_that_comes_as_the_time_is_over_is_taken(cell: FakeCell) -> None:
    """Otherwise a free connection would stay unused while others wait."""
    resolver = CheckedResolver()
    limits = Limits(connections=1, wait_seconds=0.05)
    pool = Pool(CellEntry("cell-1", "open", cell.address), limits, resolver)
    acme = Tenant(b"acme")
    first = await pool.take(acme)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        second = group.create_task(pool.take(acme))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.01, pool.give_back, first, 0.0)
        _stand_still(0.2)
    pool.give_back(second.result(), monotonic())
    pool.give_back(await pool.take(acme), monotonic())
    assert pool.open == 0
    pool.close()
    await resolver.close()


async def test_a_connection_that_its_cell_ended_is_lent_to_nobody(cell: FakeCell) -> None:
    """Its end may come in the same turn of the loop as the next request: what is sent then meets nobody."""
    resolver = CheckedResolver()
    pool = Pool(CellEntry("cell-1", "open", cell.address), Limits(), resolver)
    acme = Tenant(b"acme")
    acme.pool = pool
    connection = await pool.take(acme)
    connection.complete = connection.keeps = connection._sent_all = True  # as after an answer
    pool.give_back(connection, monotonic())
    assert pool.lend(acme, monotonic()) is connection
    pool.give_back(connection, monotonic())
    connection.eof_received()
    assert pool.lend(acme, monotonic()) is None
    assert acme.borrowed == pool.awaiting == 0
    other = await pool.take(acme)
    assert other is not connection
    pool.give_back(other, monotonic())
    await resolver.close()


async def test_what_a_new_connection_does_not_take_any_more_was_not_sent(cell: FakeCell) -> None:
    """A cell that takes a connection and ends it at once refused it: even a POST may come again."""
    resolver = CheckedResolver()
    pool = Pool(CellEntry("cell-1", "open", cell.address), Limits(), resolver)
    connection = await pool.take(Tenant(b"acme"))
    connection.eof_received()
    with pytest.raises(Unreached) as refused:
        connection.begin(Sign(asyncio.get_running_loop().create_future()), b"POST", get(method="POST"))
    assert refused.value.outcome is Outcome.REFUSED
    pool.give_back(connection, monotonic())
    assert pool.open == 0
    await resolver.close()
