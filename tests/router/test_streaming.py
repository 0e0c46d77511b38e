"""Large bodies: passed on as they come, in bounded memory, however slow the other side is."""

import asyncio
import resource

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import OK, FakeCell, Seen, connected, get, running
from tests.waiting import eventually

PIECE = bytes(65_536)
PIECES = 1600  # 100 MiB


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_hundred_megabytes_down_pass_in_little_memory(router: Router, cell: FakeCell) -> None:
    """Back-pressure reaches from the client through to the cell."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        for _ in range(PIECES):
            writer.write(PIECE)
            await writer.drain()

    cell.script = script
    before = peak_bytes()
    async with connected(router) as client:
        client.send(get())
        await client.reader.readuntil(b"\r\n\r\n")
        for _ in range(PIECES):
            await client.reader.readexactly(len(PIECE))
    assert peak_bytes() - before < 30_000_000


async def test_a_hundred_megabytes_up_pass_in_little_memory(router: Router, cell: FakeCell) -> None:
    """Likewise the other way."""
    total = len(PIECE) * PIECES

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = 0
        while data := await reader.read(min(65_536, total - received)):
            received += len(data)
        writer.write(OK)
        await writer.drain()

    cell.raw = raw
    before = peak_bytes()
    async with connected(router) as client:
        client.send(get(method="PUT", extra=f"Content-Length: {total}\r\n"))
        for _ in range(PIECES):
            client.send(PIECE)
            await client.writer.drain()
        assert (await client.answer(b"PUT")).status == 200
    assert peak_bytes() - before < 30_000_000


async def test_a_client_that_does_not_read_stops_the_cell(router: Router, cell: FakeCell) -> None:
    """What piles up for it is bounded by the buffers between them, not by what the cell has to say."""
    sent = 0

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    cell.script = script
    async with connected(router, receive_bytes=8192) as client:
        client.send(get())
        standing = -1

        async def stands_still() -> bool:
            nonlocal standing
            before, standing = standing, sent
            return before == sent > 0

        await eventually(stands_still, every=0.2)
        # The rest is in the kernel's socket buffers, on four ends.
        assert sent < 40_000_000
        [held] = router.lane.clients
        assert held._transport is not None
        assert held._transport.get_write_buffer_size() <= 1_000_000


async def test_a_client_that_never_reads_is_cut_off(feed: MemoryFeed, cell: FakeCell) -> None:
    """It may be slow, but not for ever; the cell's connection is closed too."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(PIECE)
            await writer.drain()

    cell.script = script
    async with running(feed, write_idle_seconds=0.3) as router:
        await eventually(lambda: len(router.table))
        async with connected(router, receive_bytes=8192) as client:
            client.send(get())
            await asyncio.wait_for(cell.aborted.wait(), 10)
            assert await client.closed()


async def test_a_cell_that_does_not_read_stops_the_client(feed: MemoryFeed, cell: FakeCell) -> None:
    """And is given up by its deadline: the outcome is unknown."""

    async def raw(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    cell.raw = raw
    async with running(feed, response_seconds=0.5) as router, connected(router) as client:
        await eventually(lambda: len(router.table))
        client.send(get(method="PUT", extra="Content-Length: 1000000000\r\n"))
        for _ in range(1000):
            client.send(PIECE)
        answer = await client.answer(b"PUT")
        assert answer.status == 504
        client.writer.transport.abort()
