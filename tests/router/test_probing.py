"""Who tries a cell whose breaker is open: a request that is sent to it, never one that only meant to be."""

import asyncio
from time import monotonic

from directory.memory_feed import MemoryFeed
from router.rules.breaker import State
from router.tenants import Tenant
from router.upstream.pool import Pool
from tests.router.upstreams import OK, FakeCell, Seen, ask, connected, get, running
from tests.waiting import eventually

TENANTS = [b"beta", b"gamma", b"delta"]


def _open_and_due(pool: Pool) -> None:
    """The breaker opened, so long ago that the cell may be tried again."""
    failed_at = monotonic() - 2 * pool.breaker.thresholds.first_open_seconds
    for number in range(pool.breaker.thresholds.failures):
        pool.breaker.failed(TENANTS[number % len(TENANTS)], failed_at)


async def test_a_request_that_finds_no_connection_leaves_it_to_the_next_to_try_the_cell(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Nothing was sent, so nothing is to be waited for: the next one need not be refused."""
    async with running(feed, cell_connections=1, cell_wait_seconds=0.1) as router:
        await eventually(lambda: len(router.table))
        pool = router.cells.pool("cell-1")
        _open_and_due(pool)
        held = await pool.take(Tenant(b"beta"))
        assert (await ask(router, get())).status == 503
        assert pool.breaker.state is State.OPEN
        pool.give_back(held, monotonic())
        assert (await ask(router, get())).status == 200
        assert pool.breaker.state is State.CLOSED


async def test_a_client_that_leaves_before_it_is_sent_leaves_it_to_the_next_to_try_the_cell(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Likewise when it goes while its request waits for a connection."""
    async with running(feed, cell_connections=1, cell_wait_seconds=20.0) as router:
        await eventually(lambda: len(router.table))
        pool = router.cells.pool("cell-1")
        _open_and_due(pool)
        held = await pool.take(Tenant(b"beta"))
        async with connected(router) as client:
            client.send(get())
            await eventually(lambda: pool.waiting == 2)
        await eventually(lambda: pool.waiting == 1)
        assert pool.breaker.state is State.OPEN
        pool.give_back(held, monotonic())
        assert (await ask(router, get())).status == 200
        assert pool.breaker.state is State.CLOSED


async def test_of_those_that_waited_for_a_connection_one_tries_the_cell(feed: MemoryFeed, cell: FakeCell) -> None:
    """All of them came when it could be tried; whoever has a connection second is refused as if it came later."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    cell.script = script
    async with running(feed, cell_connections=2, tenant_connections=2, cell_wait_seconds=20.0) as router:
        await eventually(lambda: len(router.table))
        pool = router.cells.pool("cell-1")
        _open_and_due(pool)
        held = [await pool.take(Tenant(b"beta")) for _ in range(2)]
        asking = [asyncio.ensure_future(ask(router, get())) for _ in range(2)]
        await eventually(lambda: pool.waiting == 4)
        for connection in held:
            pool.give_back(connection, monotonic())
        [refused], [trying] = await asyncio.wait(asking, timeout=10.0, return_when=asyncio.FIRST_COMPLETED)
        assert (await refused).status == 503
        assert pool.breaker.state is State.HALF_OPEN
        go_on.set()
        assert (await trying).status == 200
    assert len(cell.seen) == 1
