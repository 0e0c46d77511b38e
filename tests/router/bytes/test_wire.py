"""The cell of these tests behaves as a cell does, else what they find is nobody's fault."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.router.bytes.messages import request
from tests.router.bytes.wire import Forwarded, Line, Reply, Speaker, WireCell, turns
from tests.waiting import eventually

FIRST, SECOND = request(line=b"GET /first HTTP/1.1"), request(line=b"GET /second HTTP/1.1")


@asynccontextmanager
async def spoken_to(answering: Callable[[Forwarded], Reply]) -> AsyncIterator[tuple[WireCell, Speaker]]:
    """A cell that answers so, and a connection to it without a router between."""
    cell, loop = WireCell(answering), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(cell), "127.0.0.1", 0)
    _, speaker = await loop.create_connection(Speaker, "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield cell, speaker
    finally:
        speaker.leave()
        server.close()


async def test_a_cell_answers_one_request_after_the_other() -> None:
    """Whole, however many pieces each answer is told in."""
    pieces = {b"/first": [b"a", b"b", b"c"], b"/second": [b"1", b"2"], b"/third": [b"."]}
    async with spoken_to(lambda forwarded: Reply(pieces[forwarded.target])) as (_, speaker):
        await speaker.send([FIRST + SECOND + request(line=b"GET /third HTTP/1.1")])
        await eventually(lambda: len(speaker.raw) == 6)
    assert speaker.raw == b"abc12."


async def test_a_cell_says_nothing_more_to_who_has_left() -> None:
    """Whatever it still had to say, and to how many requests."""
    before = len(asyncio.all_tasks())
    async with spoken_to(lambda _forwarded: Reply([b"x"] * 100_000)) as (cell, speaker):
        await speaker.send([FIRST + SECOND])
        await eventually(lambda: bool(speaker.raw))
        speaker.leave()
        await eventually(lambda: not cell.open)
        await turns(4)
        assert len(asyncio.all_tasks()) == before
