"""What is wrong only after a request began, or behind one: it is noticed when it comes, not when time is over."""

import asyncio

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import OK, FakeCell, Seen, connected, get, running
from tests.waiting import eventually

CHUNKED = get(method="POST", extra="Transfer-Encoding: chunked\r\n")


@pytest.mark.parametrize("bad", [b"zz\r\nhello\r\n0\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"5\r\nhelloX\r\n"])
@pytest.mark.parametrize("replay_bytes", [0, 65_536])
async def test_a_malformed_chunk_in_a_later_segment_is_refused_at_once(
    feed: MemoryFeed, cell: FakeCell, bad: bytes, replay_bytes: int
) -> None:
    """Whether or not the cell already had the beginning, which it then sees abort."""
    async with running(feed, replay_bytes=replay_bytes) as router, connected(router) as client:
        await eventually(lambda: len(router.table))
        client.send(CHUNKED + b"2\r\nok\r\n")
        if replay_bytes:
            await eventually(lambda: not all(each.idle for each in router.lane.clients))
        else:
            await eventually(lambda: cell.connections)
        client.send(bad)
        answer = await client.answer(b"POST", seconds=2.0)
        assert answer.status == 400
        assert answer.values(b"connection") == [b"close"]
        assert await client.closed(1.0)
        await eventually(lambda: not cell.open)
    assert not cell.seen


async def test_a_head_of_many_long_lines_is_refused(router: Router, cell: FakeCell) -> None:
    """Each line is within bounds, all together are not."""
    lines = "".join(f"X-{number}: {'a' * 10_000}\r\n" for number in range(7))
    async with connected(router) as client:
        client.send(get(extra=lines))
        answer = await client.answer()
        assert (answer.status, answer.values(b"content-type")) == (431, [b"application/problem+json"])
        assert await client.closed()
    assert not cell.seen


async def test_a_head_that_grows_is_refused_before_its_end(router: Router, cell: FakeCell) -> None:
    """What is not whole is counted as it comes."""
    async with connected(router) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        for number in range(7):
            client.send(b"X-%d: %s\r\n" % (number, b"a" * 10_000))
        assert (await client.answer()).status == 431
        assert await client.closed()


@pytest.mark.parametrize("together", [True, False])
async def test_a_second_head_has_a_deadline_though_it_began_during_the_first(
    feed: MemoryFeed, cell: FakeCell, together: bool
) -> None:
    """It is answered in its turn, after the first."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    cell.script = script
    async with running(feed, head_seconds=0.3) as router, connected(router) as client:
        await eventually(lambda: len(router.table))
        if together:
            client.send(get() + b"GET /se")
            await eventually(lambda: cell.seen)
        else:
            client.send(get())
            await eventually(lambda: cell.seen)
            client.send(b"GET /se")
        [connection] = router.lane.clients
        await eventually(lambda: connection._rest)
        go_on.set()
        assert (await client.answer()).status == 200
        assert (await client.answer(seconds=2.0)).status == 408
        assert await client.closed()


async def test_a_second_head_that_comes_in_pieces_is_answered(router: Router, cell: FakeCell) -> None:
    """Requests that follow one another closely are no fault, wherever the segments end."""
    data = get("/1") + get("/2") + get("/3", method="POST", extra="Content-Length: 2\r\n") + b"ok" + get("/4")
    async with connected(router) as client:
        for start in range(0, len(data), 37):
            client.send(data[start : start + 37])
            await asyncio.sleep(0)
        for _ in range(4):
            assert (await client.answer()).status == 200
    assert [seen.target for seen in cell.seen] == [b"/1", b"/2", b"/3", b"/4"]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "x"])
async def test_whoever_asks_for_an_upgrade_is_told_that_the_connection_ends(
    router: Router, cell: FakeCell, protocol: str
) -> None:
    """What follows would be lost, so the client must know that nobody answers it."""
    async with connected(router) as client:
        client.send(get("/1", extra=f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n") + get("/2"))
        answer = await client.answer()
        assert (answer.status, answer.values(b"connection")) == (200, [b"close"])
        assert await client.closed()
    assert [seen.target for seen in cell.seen] == [b"/1"]


@pytest.mark.parametrize("name", ["X-Tenant", "Authorization", "Cellway-Tenant", "Content-Length", "Host"])
async def test_a_trailer_that_routes_or_frames_is_refused(router: Router, cell: FakeCell, name: str) -> None:
    """Some servers take trailers for headers: nothing reaches a cell."""
    async with connected(router) as client:
        client.send(CHUNKED + b"2\r\nok\r\n" + f"0\r\n{name}: planted\r\n\r\n".encode())
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (400, [b"close"])
        assert await client.closed()
    assert not cell.seen


async def test_a_trailer_never_becomes_a_header_of_the_next_request(router: Router, cell: FakeCell) -> None:
    """It travels as what it is, and the cell's connection is not used again: some servers would mix them up."""
    async with connected(router) as client:
        client.send(CHUNKED + b"2\r\nok\r\n0\r\nX-Note: planted\r\n\r\n")
        assert (await client.answer(b"POST")).status == 200
        client.send(get())
        assert (await client.answer()).status == 200
    assert [b"planted" in seen.raw for seen in cell.seen] == [False, False]
    assert cell.connections == 2


@pytest.mark.parametrize("pieces", [1, 5, 1000])
async def test_a_chunked_body_without_trailers_leaves_the_connection_open(
    router: Router, cell: FakeCell, pieces: int
) -> None:
    """However it was cut into segments."""
    data = CHUNKED + b"2\r\nok\r\n" + b"0\r\n\r\n"
    step = len(data) // pieces + 1
    async with connected(router) as client:
        for _ in range(2):
            for start in range(0, len(data), step):
                client.send(data[start : start + step])
                await asyncio.sleep(0)
            assert (await client.answer(b"POST")).status == 200
    assert [seen.body for seen in cell.seen] == [b"ok", b"ok"]
