"""Cells that break off, reset, or say too much at any point of an answer: no client is told it was whole."""

import asyncio
import json
from collections.abc import Callable

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.faults.cells import CHUNKED, ENDLESS, PIECE, chunk, deaf, reset, saying
from tests.router.faults.rest import resting
from tests.router.upstreams import OK, Answer, FakeCell, Seen, ask, connected, get
from tests.waiting import eventually

POST = get(method="POST", extra="Content-Length: 4\r\n") + b"body"
WHOLE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
    CHUNKED + b"5\r\n01234\r\n5;x=y\r\n56789\r\n0\r\nX-Sum: 1\r\n\r\n",
]


async def reset_it(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # All that was said is on its way: a reset would throw away what is not.
    assert writer.transport.get_write_buffer_size() == 0
    reset(writer)


async def close_it(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def outcome(answer: Answer) -> object:
    return json.loads(answer.body)["metadata"].get("outcome")


@pytest.mark.parametrize("end", [reset_it, close_it], ids=["reset", "close"])
@pytest.mark.parametrize("whole", WHOLE, ids=["length", "chunked"])
async def test_wherever_an_answer_breaks_off_it_is_never_whole(
    feed: MemoryFeed, cell: FakeCell, whole: bytes, end: Callable[..., object]
) -> None:
    """Before the head's end it is a 502 whose outcome is unknown; after it the client's connection is reset."""
    async with resting(feed) as router:
        for length in range(len(whole)):
            cell.raw = saying(whole[:length], end)  # type: ignore[arg-type]
            answer = await ask(router, POST, b"POST")
            begun = whole.find(b"\r\n\r\n") + 4 <= length
            assert (answer.status, answer.complete) == ((200, False) if begun else (502, True)), length
            assert begun or outcome(answer) == "unknown"
            router.cells.pool("cell-1").breaker = type(router.cells.pool("cell-1").breaker)()


async def test_a_reset_in_the_midst_of_a_body_without_a_length_is_not_its_end(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Only FIN is; the client sees its own transfer break off, also where HTTP/1.0 has no other sign."""
    cell.raw = saying(ENDLESS + b"begin", reset_it)
    async with resting(feed) as router:
        assert not (await ask(router, get())).complete
        async with connected(router) as client:
            client.send(get().replace(b"HTTP/1.1", b"HTTP/1.0"))
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(client.reader.read(-1), 10.0)


@pytest.mark.parametrize("method", ["POST", "PATCH", "GET"])
async def test_a_storm_of_stale_connections_sends_no_post_twice(
    feed: MemoryFeed, cell: FakeCell, method: str
) -> None:
    """The cell closes each kept connection the moment it is used: a POST is a 502, a GET goes once more."""
    served: dict[asyncio.StreamWriter, int] = {}

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[writer] = served.get(writer, 0) + 1
        if served[writer] > 1:
            reset(writer)
        else:
            writer.write(OK)

    cell.script = script
    request = get(method=method, extra="" if method == "GET" else "Content-Length: 1\r\n")
    async with resting(feed) as router, connected(router) as client:
        statuses = []
        for number in range(10):
            client.send(request.replace(b"/v1/things", b"/%d" % number) + (b"" if method == "GET" else b"x"))
            statuses.append((await client.answer(method.encode())).status)
    targets = [seen.target for seen in cell.seen]
    if method == "GET":
        assert statuses == [200] * 10
        assert max(targets.count(target) for target in targets) == 2
    else:
        assert statuses == [200, 502] * 5
        assert len(targets) == len(set(targets)) == 10


LATER = [OK, b"x", b"\r\n", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize("later", LATER, ids=["answer", "byte", "line", "408"])
@pytest.mark.parametrize("whole", [OK, *WHOLE], ids=["small", "length", "chunked"])
async def test_what_comes_later_on_a_kept_connection_is_nobodys(
    feed: MemoryFeed, cell: FakeCell, whole: bytes, later: bytes
) -> None:
    """No request may take it for its answer; the connection is not used again."""
    more = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole)
        await more.wait()
        writer.write(later)

    cell.script = script
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        assert (await client.answer()).complete
        more.set()
        await eventually(lambda: router.cells.pool("cell-1").open == 0)
        cell.script = None
        client.send(POST)
        answer = await client.answer(b"POST")
        assert (answer.status, answer.body) == (200, b"ok")
    assert cell.connections == 2


@pytest.mark.parametrize("together", [True, False])
async def test_bytes_behind_a_chunked_answer_reach_nobody(
    feed: MemoryFeed, cell: FakeCell, together: bool
) -> None:
    """Together with its head it is no answer at all; later its end stands, and the connection is closed."""
    begun = asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + (b"" if together else chunk(b"be")))
        if not together:
            await begun.wait()
        writer.write(chunk(b"gin") + b"0\r\n\r\n" + OK)
        await deaf(reader, writer)  # so it is the router that closes the connection

    cell.raw = raw
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        if not together:
            came: bytearray = client.reader._buffer  # type: ignore[attr-defined]
            await eventually(lambda: came.endswith(chunk(b"be")))
            begun.set()
        answer = await client.answer()
        if together:
            assert (answer.status, answer.complete) == (502, True)
        else:
            assert (answer.status, answer.body, answer.complete) == (200, b"begin", True)
        cell.raw = None
        client.send(get())
        assert (await client.answer()).body == b"ok"
    assert cell.connections == 2


# --- while the client still sends ---

LENGTH = "Content-Length: 100000000"


@pytest.mark.parametrize(
    ("said", "framing", "stubborn"),
    [
        (b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly", LENGTH, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", LENGTH, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", "Transfer-Encoding: chunked", False),
        (CHUNKED + b"5\r\nearly\r\n0\r\n\r\n", LENGTH, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly", LENGTH, False),
    ],
    ids=["413", "200", "200 to chunks", "chunked", "close"],
)
async def test_an_early_answer_reaches_a_client_that_still_sends(
    feed: MemoryFeed, cell: FakeCell, said: bytes, framing: str, stubborn: bool
) -> None:
    """It is told that the connection ends, and may not go on sending for ever; no connection is used again."""
    cell.raw = saying(said)
    async with resting(feed) as router, connected(router) as client:
        client.send(get(method="POST", extra=framing + "\r\n") + chunk(PIECE) * 2)

        async def go_on_sending() -> None:
            while not client.writer.transport.is_closing():
                client.send(chunk(PIECE))
                await client.writer.drain()
                await asyncio.sleep(0)

        sending = asyncio.ensure_future(go_on_sending())
        answer = await client.answer(b"POST")
        assert (answer.body, answer.complete, answer.values(b"connection")) == (b"early", True, [b"close"])
        await eventually(lambda: not cell.open)
        if stubborn:
            assert await client.closed()
        client.close()
        await asyncio.gather(sending, return_exceptions=True)


async def test_an_answer_and_a_body_may_come_at_the_same_time(feed: MemoryFeed, cell: FakeCell) -> None:
    """An echo that begins before the body's end: both go on to theirs."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = 1_000_000
        while left:
            data = await reader.read(min(left, 65_536))
            writer.write(data)
            await writer.drain()
            left -= len(data)

    cell.raw = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", echo)
    body = bytes(range(250)) * 4000
    async with resting(feed) as router, connected(router) as client:
        client.send(get(method="PUT", extra="Content-Length: 1000000\r\n") + body)
        answer = await client.answer(b"PUT")
        assert (answer.status, answer.body == body, answer.complete) == (200, True, True)


# --- interim answers ---


async def test_a_flood_of_interim_answers_is_no_answer(feed: MemoryFeed, cell: FakeCell) -> None:
    """A cell that never comes to the point is given up, before what it says fills anybody's memory."""

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </%b>\r\n\r\n" % (b"x" * 1000) * 100)
            await writer.drain()

    cell.raw = flood
    async with resting(feed, response_seconds=30.0) as router, connected(router, receive_bytes=4096) as client:
        client.send(get())
        await asyncio.wait_for(cell.aborted.wait(), 10.0)
        [server_side] = router.lane.clients
        assert server_side._transport is not None
        assert server_side._transport.get_write_buffer_size() < 1_000_000
        client.writer.transport.abort()


async def test_some_interim_answers_are_passed_on(router: Router, cell: FakeCell) -> None:
    """In their order, before the final one, on one connection again and again."""
    hints = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    cell.answers = [hints * 5 + OK] * 12
    async with connected(router) as client:
        for _ in range(12):
            client.send(get())
            answer = await client.answer()
            assert (answer.status, answer.raw.count(b" 103 ")) == (200, 5)
    assert cell.connections == 1
