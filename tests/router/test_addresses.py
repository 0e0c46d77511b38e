"""A cell's name may mean several addresses, as one of IPv4 and one of IPv6: any of them will do."""

import json
import socket

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from directory.memory_feed import MemoryFeed
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
