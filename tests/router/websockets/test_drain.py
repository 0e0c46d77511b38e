"""A router that stops says so on its pipes, between two frames and never within one."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, Seen, connected, running
from tests.router.websockets.wires import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    SWITCHING,
    TEXT,
    End,
    Frame,
    answer_head,
    at_rest,
    closes,
    frame,
    handshake,
    piped,
    stops_sending,
)
from tests.waiting import eventually

RESTARTS = (1012).to_bytes(2)
LEAVING = (1001).to_bytes(2)
TO_CLIENT, TO_CELL = Frame(CLOSE, RESTARTS), Frame(CLOSE, RESTARTS, masked=True)
"""A client's frames are masked, and the router speaks as the client to a cell (RFC 6455 section 5.1)."""
FRAMES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 300), st.just(30_000)), st.sampled_from([TEXT, BINARY, CONTINUATION, PING])
    ),
    max_size=4,
)
"""(length of the payload, opcode)."""


@contextlib.asynccontextmanager
async def draining(router: Router) -> AsyncIterator[None]:
    """A drain's first moment, held on to."""
    router.lane.draining = True
    for client in list(router.lane.clients):
        if client.pipe is not None:
            client.pipe.drain()
    try:
        yield
    finally:
        router.lane.draining = False


async def until_close(end: End) -> list[Frame]:
    """What comes, with the Close frame as the last."""
    found = [await end.frame()]
    while found[-1].opcode != CLOSE:
        found.append(await end.frame())
    return found


async def test_both_sides_are_told_when_the_router_stops(feed: MemoryFeed, cell: FakeCell) -> None:
    """They say goodbye in turn, the cell closes, and the router need not wait for its deadline."""
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        async with piped(router, cell) as pipe:
            drained = asyncio.ensure_future(router.site.drain())
            assert (await pipe.client.frame(), await pipe.cell.frame()) == (TO_CLIENT, TO_CELL)
            pipe.client.send(frame(RESTARTS, CLOSE, masked=True))
            pipe.cell.send(frame(RESTARTS, CLOSE))
            pipe.cell.writer.close()
            assert await pipe.client.rest() == b""
            pipe.client.writer.close()
            async with asyncio.timeout(10.0):
                await drained
        await at_rest(router)


async def test_sides_that_do_not_say_goodbye_are_cut_off(feed: MemoryFeed, cell: FakeCell) -> None:
    """Once the time for draining is over."""
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        async with piped(router, cell) as pipe:
            async with draining(router):
                assert (await pipe.client.frame(), await pipe.cell.frame()) == (TO_CLIENT, TO_CELL)
                await router.site.stop()
            assert (await pipe.client.ended(), await pipe.cell.ended()) == (True, True)
        await at_rest(router)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(up=FRAMES, down=FRAMES, cuts=st.tuples(st.integers(min_value=0), st.integers(min_value=0)))
async def test_the_goodbye_stands_between_two_frames(
    router: Router, cell: FakeCell, up: list[tuple[int, int]], down: list[tuple[int, int]], cuts: tuple[int, int]
) -> None:
    """Wherever each side is with what it sends, the other gets whole frames, and a Close frame behind them."""
    async with piped(router, cell) as pipe:
        ways = []
        for kinds, cut, near, far in zip(
            (up, down), cuts, (pipe.client, pipe.cell), (pipe.cell, pipe.client), strict=True
        ):
            masked = near is pipe.client
            frames = [Frame(opcode, os.urandom(length), masked) for length, opcode in kinds]
            wire = b"".join(frame(each.payload, each.opcode, masked=masked) for each in frames)
            place = cut % (len(wire) + 1)
            near.send(wire[:place])
            ways.append((frames, near, far, wire[place:]))
            await far.has(place)
        async with draining(router):
            for _frames, near, _far, left in ways:
                near.send(left)
            for frames, near, far, _left in ways:
                came = await until_close(far)
                assert came[-1] == (TO_CELL if near is pipe.client else TO_CLIENT)
                assert came[:-1] == frames[: len(came) - 1]


@pytest.mark.parametrize("sender", ["client", "cell"])
async def test_a_fragment_in_hand_is_ended_first(router: Router, cell: FakeCell, sender: str) -> None:
    """The message it belongs to is not, and need not be (RFC 6455 section 5.4)."""
    async with piped(router, cell) as pipe:
        masked = sender == "client"
        near, far = (pipe.client, pipe.cell) if masked else (pipe.cell, pipe.client)
        first = frame(os.urandom(300_000), masked=masked, final=False)
        second = frame(os.urandom(900_000), CONTINUATION, masked=masked, final=False)
        near.send(first + second[:300_000])
        assert await far.take(len(first) + 300_000) == first + second[:300_000]
        async with draining(router):
            assert await near.frame() == (TO_CLIENT if masked else TO_CELL)  # nothing is in its way there
            near.send(second[300_000:500_000])
            assert await far.take(200_000) == second[300_000:500_000]
            near.send(second[500_000:])
            assert await far.take(len(second) - 500_000) == second[500_000:]
            assert await far.frame() == (TO_CELL if masked else TO_CLIENT)


@pytest.mark.parametrize("sender", ["client", "cell"])
async def test_nothing_follows_the_goodbye(router: Router, cell: FakeCell, sender: str) -> None:
    """What a side sends that has not heard it yet goes nowhere (RFC 6455 section 5.5.1)."""
    async with piped(router, cell) as pipe:
        near, far = (pipe.client, pipe.cell) if sender == "client" else (pipe.cell, pipe.client)
        async with draining(router):
            assert await far.frame() == (TO_CELL if sender == "client" else TO_CLIENT)
            near.send(frame(b"late", masked=sender == "client") * 3)
            near.send(frame(RESTARTS, CLOSE, masked=sender == "client"))
            assert await near.frame() == (TO_CLIENT if sender == "client" else TO_CELL)
            near.writer.close()
            assert await far.rest() == b""


@pytest.mark.parametrize("sender", ["client", "cell"])
async def test_who_was_told_goodbye_already_is_not_told_again(router: Router, cell: FakeCell, sender: str) -> None:
    """After a Close frame there is no other."""
    async with piped(router, cell) as pipe:
        masked = sender == "client"
        near, far = (pipe.client, pipe.cell) if masked else (pipe.cell, pipe.client)
        near.send(frame(b"last", masked=masked) + frame(LEAVING, CLOSE, masked=masked))
        assert [each.payload for each in await until_close(far)] == [b"last", LEAVING]
        async with draining(router):
            assert await near.frame() == (TO_CLIENT if masked else TO_CELL)
            near.writer.close()
            assert await far.rest() == b""


async def test_a_goodbye_within_what_comes_while_draining_is_passed_on(router: Router, cell: FakeCell) -> None:
    """Then the router has no need of one of its own."""
    async with piped(router, cell) as pipe:
        begun = frame(bytes(1000))
        pipe.cell.send(begun[:10])
        assert await pipe.client.take(10) == begun[:10]
        async with draining(router):
            pipe.cell.send(begun[10:] + frame(LEAVING, CLOSE))
            pipe.cell.writer.write_eof()
            assert await pipe.client.rest() == begun[10:] + frame(LEAVING, CLOSE)


async def test_a_websocket_that_opens_while_draining_is_told_at_once(router: Router, cell: FakeCell) -> None:
    """Its handshake was accepted before; nobody comes round to tell it later."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def script(_seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        writer.write(SWITCHING + b"\r\n")
        told = await End(reader, writer).frame()
        writer.write(frame(told.payload, CLOSE))

    cell.script = script
    async with connected(router) as client:
        client.send(handshake())
        await asked.wait()
        async with draining(router):
            answer.set()
            assert (await answer_head(client)).startswith(b"HTTP/1.1 101 ")
            assert await End(client.reader, client.writer).frame() == TO_CLIENT


@pytest.mark.parametrize("first", ["client", "cell"])
@pytest.mark.parametrize("leave", [closes, stops_sending])
async def test_a_side_that_was_told_of_the_end_is_told_nothing_more(
    router: Router, cell: FakeCell, first: str, leave: Callable[[End], None]
) -> None:
    """It may not have closed yet, but its connection has no room for words any more."""
    async with piped(router, cell) as pipe:
        leave(pipe.cell if first == "cell" else pipe.client)
        assert await (pipe.client if first == "cell" else pipe.cell).rest() == b""
        async with draining(router):
            pipe.client.writer.close()
            pipe.cell.writer.close()
            await at_rest(router)
