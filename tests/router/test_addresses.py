"""A cell's name may mean several addresses, as one of IPv4 and one of IPv6: any of them will do."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from time import monotonic

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from directory.memory_feed import MemoryFeed
from router.tenants import Tenant
from tests.router.upstreams import FakeCell, ask, get, running, snapshot_of
from tests.waiting import eventually


class Means(ThreadedResolver):
    """A system in which every name means these addresses, in this order."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]


async def by_name(cell: FakeCell) -> MemoryFeed:
    """A directory's cache with the cell under a name; it listens at 127.0.0.1 alone."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": f"http://cell-1.internal:{cell.port}"}, {"acme": ("cell-1", 5)}))
    return feed


@pytest.mark.parametrize("others", [["127.0.0.2"], ["::1"], ["::1", "127.0.0.2", "127.0.0.3"]])
async def test_an_address_that_refuses_is_no_reason_to_give_up(cell: FakeCell, others: list[str]) -> None:
    """The next one is tried, up to the last; the cell is not blamed."""
    async with running(await by_name(cell)) as router:
        router.cells._resolver._resolver = Means(*others, "127.0.0.1")
        await eventually(lambda: len(router.table))
        assert (await ask(router, get())).status == 200
        pool = router.cells.pool("cell-1")
        assert (pool.state, pool.breaker.evidence.failures) == ("answers", 0)
    assert len(cell.seen) == 1


async def test_a_cell_refuses_when_all_its_addresses_do(cell: FakeCell) -> None:
    """503 as for a single address: try again, nothing was sent. That is one failure, not one for each address."""
    async with running(await by_name(cell)) as router:
        router.cells._resolver._resolver = Means("127.0.0.2", "127.0.0.3", "127.0.0.4")
        await eventually(lambda: len(router.table))
        answer = await ask(router, get())
        told = json.loads(answer.body)
        assert (answer.status, told["code"], told["retryable"]) == (503, "UNAVAILABLE", True)
        assert told["metadata"] == {}
        pool = router.cells.pool("cell-1")
        assert (pool.evidence, pool.breaker.evidence.failures) == ("connections are refused", 1)
    assert not cell.connections


@contextlib.contextmanager
def silent(host: str, port: int) -> Iterator[socket.socket]:
    """An address that does not even refuse: its backlog is full, so the kernel drops who knocks."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind((host, port))
        full.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex((host, port))
        yield full


@pytest.mark.parametrize("others", [["127.0.0.2"], ["127.0.0.2", "127.0.0.3"], ["127.0.0.3", "127.0.0.2"]])
async def test_an_address_that_is_silent_leaves_time_for_the_others(cell: FakeCell, others: list[str]) -> None:
    """The next is tried as well, long before the time for a connection is over."""
    with silent("127.0.0.2", cell.port):
        async with running(await by_name(cell), connect_seconds=20.0, stopped_seconds=60.0) as router:
            router.cells._resolver._resolver = Means(*others, "127.0.0.1")
            await eventually(lambda: len(router.table))
            assert (await ask(router, get())).status == 200
            assert router.cells.pool("cell-1").breaker.evidence.failures == 0
    assert len(cell.seen) == 1


async def test_an_address_that_is_slow_is_still_waited_for(cell: FakeCell) -> None:
    """That another is tried as well is no reason to give it up: the other may be worse."""
    other = FakeCell()
    with silent("127.0.0.2", cell.port) as listening:
        async with running(await by_name(cell), connect_seconds=20.0, stopped_seconds=60.0) as router:
            router.cells._resolver._resolver = Means("127.0.0.2", "127.0.0.3")
            await eventually(lambda: len(router.table))
            asking = asyncio.ensure_future(ask(router, get()))
            await eventually(lambda: router.cells.pool("cell-1").open == 1)
            async with await asyncio.start_server(other.serve, sock=listening.dup()):
                assert (await asking).status == 200
    assert (len(other.seen), len(cell.seen)) == (1, 0)


async def test_a_cell_is_not_reached_when_all_its_addresses_are_silent(cell: FakeCell) -> None:
    """503 as when they refuse, once the time for a connection is over."""
    with silent("127.0.0.2", cell.port):
        async with running(await by_name(cell), connect_seconds=0.4, stopped_seconds=60.0) as router:
            router.cells._resolver._resolver = Means("127.0.0.2", "127.0.0.2")
            await eventually(lambda: len(router.table))
            answer = await ask(router, get())
            assert (answer.status, json.loads(answer.body)["metadata"]) == (503, {})
            assert router.cells.pool("cell-1").breaker.evidence.failures == 1


async def test_the_address_that_was_reached_last_is_tried_first(cell: FakeCell) -> None:
    """So what is wrong with those before it costs its time once, not for each connection."""
    other = FakeCell()
    async with running(await by_name(cell)) as router:
        router.cells._resolver._resolver = Means("127.0.0.2", "127.0.0.1")
        await eventually(lambda: len(router.table))
        pool = router.cells.pool("cell-1")
        taken = [await pool.take(Tenant(b"acme"))]
        async with await asyncio.start_server(other.serve, "127.0.0.2", cell.port):
            taken.append(await pool.take(Tenant(b"acme")))
            await eventually(lambda: cell.connections == 2)
            assert not other.connections
        for connection in taken:
            pool.give_back(connection, monotonic())
