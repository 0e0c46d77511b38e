"""Clients that trickle, stall, or do not read: each costs a bounded amount of time and memory, and no cell."""

import asyncio
import socket
from typing import cast

import pytest

from directory.memory_feed import MemoryFeed
from router import metrics
from router.client import Client
from tests.router.faults.cells import CHUNKED, EVENT, EVENTS, chunk, endless
from tests.router.faults.rest import resting
from tests.router.upstreams import Client as Far
from tests.router.upstreams import FakeCell, connected, get
from tests.waiting import eventually

TRICKLE_SECONDS = 0.02
"""Between two bytes: never so long that one of them is late."""


async def trickle(client: Far, data: bytes) -> None:
    """Byte by byte, as long as somebody listens."""
    for start in range(len(data)):
        if client.writer.transport.is_closing():
            return
        client.send(data[start : start + 1])
        await asyncio.sleep(TRICKLE_SECONDS)


@pytest.mark.parametrize("begun", [b"", get()])
async def test_a_head_that_trickles_is_ended_by_the_heads_deadline(
    feed: MemoryFeed, cell: FakeCell, begun: bytes
) -> None:
    """Every byte in time is not enough: the whole head has a deadline, the first and every later one."""
    async with resting(feed, head_seconds=0.4, idle_seconds=60.0) as router, connected(router) as client:
        if begun:
            client.send(begun)
            assert (await client.answer()).status == 200
        trickling = asyncio.ensure_future(trickle(client, get(extra="X-Slow: " + "s" * 5000 + "\r\n")))
        answer = await client.answer(seconds=5.0)
        trickling.cancel()
        assert (answer.status, answer.values(b"connection")) == (408, [b"close"])
        assert answer.values(b"content-type") == [b"application/problem+json"]
        assert await client.closed()
    assert len(cell.seen) == bool(begun)


async def test_many_trickling_clients_keep_nobody_from_being_served(feed: MemoryFeed, cell: FakeCell) -> None:
    """Each is ended by its deadline; until then it holds a socket and its bytes, no task and no cell."""
    async with resting(feed, head_seconds=1.0) as router:
        tasks = len(router.tasks)
        slow = [await asyncio.open_connection("127.0.0.1", router.site.port) for _ in range(300)]
        for _, writer in slow:
            writer.write(b"GET /v1/things HTTP/1.1\r\nHost: acme")
        await eventually(lambda: len(router.lane.clients) == 300)
        assert len(router.tasks) == tasks
        async with connected(router) as client:
            for _ in range(50):
                client.send(get())
                assert (await client.answer()).status == 200
        said = [await asyncio.wait_for(reader.read(), 10.0) for reader, _ in slow]
        assert all(each.startswith(b"HTTP/1.1 408 ") for each in said)
        for _, writer in slow:
            writer.close()
        assert cell.connections == 1


@pytest.mark.parametrize(
    "framing", ["Content-Length: 100000", "Content-Length: 100", "Transfer-Encoding: chunked"]
)
async def test_a_body_that_stops_coming_is_a_408(feed: MemoryFeed, cell: FakeCell, framing: str) -> None:
    """Whether a cell has the beginning of it, which then sees it abort, or not."""
    async with resting(feed, body_idle_seconds=0.3, replay_bytes=1000) as router, connected(router) as client:
        client.send(get(method="POST", extra=framing + "\r\n") + b"2\r\nab")
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (408, [b"close"])
        assert await client.closed()
        await eventually(lambda: not cell.open)
    assert not cell.seen


async def test_a_body_that_trickles_occupies_no_cell(feed: MemoryFeed, cell: FakeCell) -> None:
    """A small one is read first; its deadline is for each piece, so it may take its time."""
    async with resting(feed, body_idle_seconds=2.0) as router, connected(router) as client:
        client.send(get(method="POST", extra="Content-Length: 20\r\n"))
        for number in range(20):
            assert cell.connections == 0
            client.send(b"%d" % (number % 10))
            await asyncio.sleep(0)
        assert (await client.answer(b"POST")).status == 200
    [seen] = cell.seen
    assert seen.body == b"01234567890123456789"


@pytest.mark.parametrize(
    ("head", "piece"), [(EVENTS, chunk(EVENT)), (CHUNKED, chunk(bytes(20_000))), (CHUNKED, chunk(b"x" * 300))]
)
async def test_a_stream_that_nobody_reads_stops_its_cell_and_is_cut_off(
    feed: MemoryFeed, cell: FakeCell, head: bytes, piece: bytes
) -> None:
    """Events and chunks wait for the client as other bodies do, however small, and not for ever."""
    cell.script = endless(head, piece)
    slow = metrics.ABORTS.labels("client_slow")._value
    before = slow.get()
    async with resting(feed, write_idle_seconds=0.5) as router, connected(router, receive_bytes=4096) as client:
        cast(asyncio.Transport, client.writer.transport).pause_reading()
        client.send(get())
        [server_side] = await eventually(lambda: router.lane.clients)
        assert isinstance(server_side, Client)
        most = 0

        def cut() -> bool:
            nonlocal most
            wire = server_side._transport
            most = most if wire is None else max(most, wire.get_write_buffer_size())
            return wire is None

        await eventually(cut, every=0.005)
        assert most < 1_000_000
        assert slow.get() == before + 1
        await asyncio.wait_for(cell.aborted.wait(), 8.0)
        client.writer.transport.abort()


async def test_a_client_that_reads_slowly_gets_all_of_a_stream(feed: MemoryFeed, cell: FakeCell) -> None:
    """Stopping and going on loses nothing and puts nothing twice."""
    count = 400

    async def script(_seen: object, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for number in range(count):
            writer.write(chunk(b"%08d" % number * 500))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    cell.script = script
    async with resting(feed) as router, connected(router, receive_bytes=4096) as client:
        [server_side] = await eventually(lambda: router.lane.clients)
        assert isinstance(server_side, Client)
        assert server_side._transport is not None
        # Without it the kernel would take everything, and nobody would have to stop.
        wire = server_side._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.send(get())
        for _ in range(5):
            await eventually(lambda: server_side.write_paused, every=0.001)
            while server_side.write_paused:
                client._rest += await client.reader.read(65_536)
        answer = await client.answer(seconds=20.0)
        assert answer.complete
        assert answer.body == b"".join(b"%08d" % number * 500 for number in range(count))
