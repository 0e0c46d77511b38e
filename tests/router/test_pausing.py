"""Clients that were slow already when an answer began: the cell waits for them, and goes on when they do."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import cast

from directory.memory_feed import MemoryFeed
from router.app import Router
from router.client import Client as ServerSide
from tests.router.faults.cells import CHUNKED, chunk
from tests.router.faults.rest import resting
from tests.router.upstreams import Client, FakeCell, Seen, connected, get
from tests.waiting import eventually

WHOLE = bytes(4000)
"""It comes at once, so it waits for the end of the turn: until then the next request is begun."""
STREAM = [b"%08d" % number * 4096 for number in range(64)]
"""Two megabytes, of which no piece is like another."""
PIPELINED = 60


@dataclass
class Late:
    """A cell that answers whole until the client is slow, then once with a stream, then whole again."""

    slow: ServerSide
    streamed: int | None = None
    """The number of the request that was answered so, from 0 on."""
    told: int = 0
    said_all: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, _seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.told += 1
        if self.streamed is not None or not self.slow.write_paused:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE)
            return
        self.streamed = self.told - 1
        writer.write(CHUNKED)
        for piece in STREAM:
            writer.write(chunk(piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        self.said_all.set()


async def not_reading(router: Router, client: Client) -> ServerSide:
    """The router's side of a client that takes nothing from now on, and has little room for it in the kernel."""
    cast(asyncio.Transport, client.writer.transport).pause_reading()
    [server_side] = await eventually(lambda: router.lane.clients)
    assert isinstance(server_side, ServerSide)
    assert server_side._transport is not None
    server_side._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return server_side


async def test_a_stream_waits_for_a_client_that_was_slow_before_it_began(feed: MemoryFeed, cell: FakeCell) -> None:
    """The transport said so once, with the answers before it, and does not say it again when the head comes."""
    async with resting(feed) as router, connected(router, receive_bytes=4096) as client:
        server_side = await not_reading(router, client)
        late = Late(server_side)
        cell.script = late.script
        client.send(get() * PIPELINED)

        def cell_waits() -> bool:
            connection = server_side.passage and server_side.passage._connection
            return connection is not None and connection._reading_paused

        await eventually(lambda: cell_waits() or late.said_all.is_set())
        assert late.streamed is not None
        wire = server_side._transport
        assert wire is not None
        assert wire.get_write_buffer_size() < 1_000_000

        cast(asyncio.Transport, client.writer.transport).resume_reading()
        answers = [await client.answer() for _ in range(PIPELINED)]
        assert all((each.status, each.complete) == (200, True) for each in answers)
        expected = [WHOLE] * PIPELINED
        expected[late.streamed] = b"".join(STREAM)
        assert [each.body for each in answers] == expected
