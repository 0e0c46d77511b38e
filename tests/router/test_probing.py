"""Who tries a cell whose breaker is open: a request that is sent to it, never one that only meant to be."""

import asyncio
import json
import socket
from time import monotonic

from aiohttp.abc import ResolveResult

from directory.memory_feed import MemoryFeed
from router.rules.breaker import State
from router.tenants import Tenant
from router.upstream.pool import Pool
from tests.router.test_addresses import Means, by_name
from tests.router.upstreams import OK, FakeCell, Seen, ask, connected, get, running, snapshot_of
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
        told = await refused
        assert (told.status, told.values(b"retry-after")) == (503, [b"1"])
        assert pool.breaker.state is State.HALF_OPEN
        go_on.set()
        assert (await trying).status == 200
    assert len(cell.seen) == 1


async def test_a_try_whose_connection_had_been_closed_is_made_again(feed: MemoryFeed, cell: FakeCell) -> None:
    """It learnt nothing of the cell, and nobody else may try meanwhile: so it may, on a connection of its own."""
    served: dict[asyncio.StreamWriter, int] = {}

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[writer] = served.get(writer, 0) + 1
        if served[writer] > 1:
            writer.close()
        else:
            writer.write(OK)

    cell.script = script
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        pool = router.cells.pool("cell-1")
        assert (await ask(router, get())).status == 200
        _open_and_due(pool)
        assert (await ask(router, get())).status == 200
        assert pool.breaker.state is State.CLOSED
    assert (len(cell.seen), cell.connections) == (3, 2)


# --- connections that are refused ---


async def test_a_refused_connection_is_a_try_too() -> None:
    """It failed, so the cell is left alone for twice as long: the next one does not even connect."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        feed = MemoryFeed()
        await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
        async with running(feed) as router:
            await eventually(lambda: len(router.table))
            pool = router.cells.pool("cell-1")
            _open_and_due(pool)
            tried, refused = [await ask(router, get()) for _ in range(2)]
            assert (tried.status, refused.status) == (503, 503)
            assert (pool.breaker.state, pool.breaker.open_seconds) == (State.OPEN, 2.0)
            assert "no connection" in json.loads(tried.body)["message"]
            assert "fails for many" in json.loads(refused.body)["message"]
            assert tried.values(b"retry-after") == [b"2"]
            assert refused.values(b"retry-after")


class LeadsNowhereLater(Means):
    """The name means the cell at first; who asks again waits, and is led to where nobody listens."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1")
        self.asked = 0
        self.go_on = asyncio.Event()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.asked > 1:
            await self.go_on.wait()
            self.addresses = ("127.0.0.2",)
        return await super().resolve(host, port, family)


async def test_a_refused_connection_does_not_judge_while_another_tries(cell: FakeCell) -> None:
    """It was begun before, and the one that tries the cell knows better in a moment."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    async with running(await by_name(cell), connect_seconds=20.0) as router:
        resolver = router.cells._resolver._resolver = LeadsNowhereLater()
        await eventually(lambda: len(router.table))
        assert (await ask(router, get())).status == 200
        pool, cell.script = router.cells.pool("cell-1"), script
        _open_and_due(pool)
        kept = await pool.take(Tenant(b"beta"))
        connecting = asyncio.ensure_future(ask(router, get()))
        await eventually(lambda: resolver.asked == 2)
        pool.give_back(kept, monotonic())
        trying = asyncio.ensure_future(ask(router, get()))
        await eventually(lambda: len(cell.seen) == 2)
        resolver.go_on.set()
        assert (await connecting).status == 503
        assert pool.breaker.state is State.HALF_OPEN
        go_on.set()
        assert (await trying).status == 200
        assert pool.breaker.state is State.CLOSED
