"""Peers that stop sending, and go on listening: it looks like leaving, until somebody writes."""

import asyncio

import pytest

from directory.memory_feed import MemoryFeed
from router.client import HALF_CLOSED_SECONDS
from tests.router.faults.cells import ENDLESS, deaf, saying
from tests.router.faults.rest import resting
from tests.router.upstreams import OK, FakeCell, Seen, connected, get
from tests.waiting import eventually

POST = get(method="POST", extra="Content-Length: 4\r\n") + b"body"


@pytest.mark.parametrize(
    "request_bytes", [get(), POST, get(method="POST", extra="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"]
)
async def test_a_client_that_said_all_it_had_to_say_is_answered(
    feed: MemoryFeed, cell: FakeCell, request_bytes: bytes
) -> None:
    """`printf … | nc` does so. Then the connection ends."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    cell.script = script
    async with resting(feed) as router, connected(router) as client:
        client.send(request_bytes)
        client.writer.write_eof()
        [server_side] = await eventually(lambda: [each for each in router.lane.clients if each._half_closed])
        assert server_side.deadline <= router.lane.now + HALF_CLOSED_SECONDS
        await eventually(lambda: cell.seen)
        go_on.set()
        answer = await client.answer(b"POST" if request_bytes is not get() else b"GET")
        assert (answer.status, answer.body) == (200, b"ok")
        assert await client.reader.read() == b""


async def test_requests_that_came_before_the_end_are_not_begun_after_it(feed: MemoryFeed, cell: FakeCell) -> None:
    """The first is answered, and says that it is the last; nothing else reaches the cell by halves."""
    async with resting(feed) as router, connected(router) as client:
        client.send(get("/1"))
        await eventually(lambda: cell.seen)
        client.send(get("/2"))
        client.writer.write_eof()
        answers = [await client.answer()]
        while (answer := await client.answer()).status:
            answers.append(answer)
        assert all((each.status, each.complete) == (200, True) for each in answers)
        assert len(cell.seen) == len(answers)


async def test_a_client_that_left_while_its_cell_says_nothing_is_noticed(feed: MemoryFeed, cell: FakeCell) -> None:
    """A long poll whose client closed: the cell's request is cancelled soon, not when the poll is over."""
    cell.raw = deaf
    async with resting(feed, response_seconds=60.0) as router, connected(router) as client:
        client.send(get(extra="Prefer: wait=60\r\n"))
        await eventually(lambda: cell.open)
        client.close()
        await eventually(lambda: not cell.open)
        assert not router.lane.clients


async def test_a_half_closed_client_hears_a_stream_as_long_as_it_goes_on(feed: MemoryFeed, cell: FakeCell) -> None:
    """Each piece shows that somebody is there to take it."""
    pieces = 12

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % pieces)
        for _ in range(pieces):
            writer.write(b"x")
            await asyncio.sleep(HALF_CLOSED_SECONDS / 8)

    cell.script = script
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        client.writer.write_eof()
        answer = await client.answer()
        assert (answer.status, answer.body, answer.complete) == (200, b"x" * pieces, True)


@pytest.mark.parametrize("sent", [b"GET / HT", get(method="POST", extra="Content-Length: 9\r\n") + b"half"])
async def test_a_request_that_ends_in_the_midst_goes_nowhere(
    feed: MemoryFeed, cell: FakeCell, sent: bytes
) -> None:
    """What is not whole will never be: the connection is closed at once."""
    async with resting(feed) as router, connected(router) as client:
        client.send(sent)
        client.writer.write_eof()
        assert await client.reader.read() == b""
    assert not cell.seen


async def test_a_cell_that_half_closes_gets_no_further_request(feed: MemoryFeed, cell: FakeCell) -> None:
    """It says by FIN that it will answer nothing more, whatever it still reads."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if writer.can_write_eof():
            writer.write_eof()

    cell.script = script
    async with resting(feed) as router, connected(router) as client:
        for _ in range(3):
            client.send(POST)
            assert (await client.answer(b"POST")).status == 200
            await eventually(lambda: router.cells.pool("cell-1").open == 0)
    assert (cell.connections, len(cell.seen)) == (3, 3)


async def test_a_body_that_the_cells_end_ends_is_whole_at_a_half_close(feed: MemoryFeed, cell: FakeCell) -> None:
    """HTTP/1.0 style: FIN is the end, and the client is told so by the last chunk."""

    async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await asyncio.Event().wait()

    cell.raw = saying(ENDLESS + b"all of it", end)
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        answer = await client.answer()
        assert (answer.status, answer.body, answer.complete) == (200, b"all of it", True)
