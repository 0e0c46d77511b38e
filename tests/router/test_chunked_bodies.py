"""Chunked bodies of clients: read ahead before a cell is occupied, and whole or not at all."""

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import OK, FakeCell, connected, get, running
from tests.waiting import eventually

NOT_OURS = b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"
HEAD = get(method="POST", extra="Transfer-Encoding: chunked\r\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_chunked_body_that_trickles_occupies_no_cell(router: Router, cell: FakeCell) -> None:
    """A connection is taken when all of it is there."""
    async with connected(router) as client:
        client.send(HEAD + chunk(b"ab"))
        await eventually(lambda: not all(each.idle for each in router.lane.clients))
        client.send(chunk(b"cd"))
        await eventually(lambda: router.table.find("acme"))
        assert not cell.connections
        assert not router.cells.pools or not router.cells.pool("cell-1").used
        client.send(b"0\r\n\r\n")
        assert (await client.answer(b"POST")).status == 200
    assert [seen.body for seen in cell.seen] == [b"abcd"]


async def test_a_small_chunked_body_is_sent_again_after_a_421(router: Router, cell: FakeCell) -> None:
    """It was kept, as one of a known length would have been."""
    cell.answers = [NOT_OURS, OK]
    async with connected(router) as client:
        client.send(HEAD + chunk(b"ab") + chunk(b"cd") + b"0\r\n\r\n")
        assert (await client.answer(b"POST")).status == 200
    assert [seen.body for seen in cell.seen] == [b"abcd", b"abcd"]


@pytest.mark.parametrize("replay_bytes", [0, 3, 1000, 5000])
async def test_a_large_chunked_body_passes_whole(feed: MemoryFeed, cell: FakeCell, replay_bytes: int) -> None:
    """Wherever the point lies at which it is too much to keep."""
    body = [bytes([65 + number]) * 997 for number in range(20)]
    async with running(feed, replay_bytes=replay_bytes) as router:
        await eventually(lambda: len(router.table))
        async with connected(router) as client:
            client.send(HEAD)
            for piece in body:
                client.send(chunk(piece))
                await client.writer.drain()
            client.send(b"0\r\n\r\n")
            assert (await client.answer(b"POST")).status == 200
    assert [seen.body for seen in cell.seen] == [b"".join(body)]
