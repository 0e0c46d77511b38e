"""How a pipe ends: by either side, by silence; and that nothing of it stays behind."""

import asyncio
import itertools
import os
from collections.abc import Callable

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, ask, get, running
from tests.router.websockets.wires import (
    CLOSE,
    End,
    at_rest,
    closes,
    frame,
    piped,
    resets,
    stops_sending,
    unread,
    writes_until_lost,
)
from tests.waiting import eventually

GOODBYE = (1000).to_bytes(2)


ENDINGS = pytest.mark.parametrize("leave", [closes, resets, stops_sending])
ORDERLY = pytest.mark.parametrize("leave", [closes, stops_sending])


@ENDINGS
async def test_when_the_client_leaves_its_cell_is_told(
    router: Router, cell: FakeCell, leave: Callable[[End], None]
) -> None:
    """And nothing is left of the pipe, though the cell does nothing about it."""
    async with piped(router, cell) as pipe:
        leave(pipe.client)
        assert await pipe.cell.ended()
        await at_rest(router)


@ENDINGS
async def test_when_the_cell_leaves_its_client_is_told(
    router: Router, cell: FakeCell, leave: Callable[[End], None]
) -> None:
    """Once the client closed as well (RFC 6455 section 7.1.1), nothing is left of the pipe."""
    async with piped(router, cell) as pipe:
        leave(pipe.cell)
        assert await pipe.client.ended()
        pipe.client.writer.close()
        await at_rest(router)


async def test_a_client_that_does_not_close_after_its_cell_is_not_waited_for_long(
    router: Router, cell: FakeCell
) -> None:
    """It was told; whether it heard does not matter."""
    async with piped(router, cell) as pipe:
        pipe.cell.writer.close()
        assert await pipe.client.ended()
        await at_rest(router)


@ORDERLY
async def test_what_a_cell_said_last_arrives(router: Router, cell: FakeCell, leave: Callable[[End], None]) -> None:
    """As over a connection of its own."""
    said = os.urandom(2**20) + frame(GOODBYE, CLOSE)
    async with piped(router, cell) as pipe:
        pipe.cell.send(said)
        leave(pipe.cell)
        assert await pipe.client.rest() == said


async def test_what_a_cell_said_last_arrives_though_a_write_fails_first(router: Router, cell: FakeCell) -> None:
    """A cell that closes while a client talks on answers with a reset; what it said before that still counts."""
    goodbye = frame(GOODBYE, CLOSE)
    async with piped(router, cell) as pipe:
        assert pipe.between.passage is not None
        connection = pipe.between.passage._connection
        assert connection is not None
        assert connection._transport is not None
        connection._transport.pause_reading()  # as when the write's turn comes first
        pipe.cell.transport.pause_reading()
        pipe.client.send(frame(b"never read", masked=True))
        await unread(pipe.cell)
        pipe.cell.send(goodbye)
        pipe.cell.writer.close()
        await writes_until_lost(pipe.client, frame(b"too late", masked=True), connection)
        assert await pipe.client.rest() == goodbye
        pipe.client.writer.close()
        await at_rest(router)


@ORDERLY
async def test_what_a_client_said_last_arrives(
    router: Router, cell: FakeCell, leave: Callable[[End], None]
) -> None:
    """Also when the cell takes its time to read it, and some of it waits in the router."""
    said = b""
    async with piped(router, cell) as pipe:
        assert pipe.between.passage is not None
        connection = pipe.between.passage._connection
        assert connection is not None
        towards_cell = connection._transport
        assert towards_cell is not None
        pipe.cell.transport.pause_reading()
        while not towards_cell.get_write_buffer_size():
            said += (piece := os.urandom(40_000))
            pipe.client.send(piece)
            await pipe.client.writer.drain()
            await asyncio.sleep(0)
        said += (goodbye := frame(GOODBYE, CLOSE, masked=True))
        pipe.client.send(goodbye)
        leave(pipe.client)
        await eventually(lambda: pipe.between._half_closed or pipe.between._reading_paused)
        pipe.cell.transport.resume_reading()
        assert await pipe.cell.rest() == said


async def test_what_a_cell_said_last_is_waited_for_by_the_usual_deadline(
    router: Router, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow client is given time to take it all, not only the moment that one needs to close."""
    monkeypatch.setattr("router.client.LINGER_SECONDS", 0.0)
    said = os.urandom(8 * 2**20)
    async with piped(router, cell, receive_bytes=4096) as pipe:
        pipe.client.transport.pause_reading()
        pipe.cell.send(said)
        pipe.cell.writer.write_eof()
        await eventually(lambda: pipe.between.write_paused)
        pipe.client.transport.resume_reading()
        assert await pipe.client.rest() == said


async def test_a_client_that_still_sends_is_not_reset_by_its_cells_end(router: Router, cell: FakeCell) -> None:
    """A reset would overtake the cell's Close frame, and the client would never learn why (RFC 6455 7.1.1)."""
    async with piped(router, cell) as pipe:
        pipe.cell.transport.pause_reading()
        pipe.client.send(bytes(20 * 2**20))
        await eventually(lambda: pipe.between._reading_paused)
        pipe.cell.send(frame(GOODBYE, CLOSE))
        await pipe.cell.writer.drain()
        pipe.cell.writer.write_eof()
        assert await pipe.client.rest() == frame(GOODBYE, CLOSE)


async def test_a_client_that_stops_sending_still_hears_its_cell(router: Router, cell: FakeCell) -> None:
    """It may say goodbye and wait for the answer with its own side closed already."""
    async with piped(router, cell) as pipe:
        goodbye = frame(GOODBYE, CLOSE, masked=True)
        pipe.client.send(goodbye)
        pipe.client.writer.write_eof()
        assert await pipe.cell.rest() == goodbye
        pipe.cell.send(frame(GOODBYE, CLOSE))
        pipe.cell.writer.close()
        assert await pipe.client.rest() == frame(GOODBYE, CLOSE)
        await at_rest(router)


async def test_a_pipe_whose_client_is_silent_ends(feed: MemoryFeed, cell: FakeCell) -> None:
    """Nobody else would notice that it is gone; a client that means to stay sends a ping now and then."""
    async with running(feed, pipe_idle_seconds=0.3) as router, piped(router, cell) as pipe:
        assert await asyncio.gather(pipe.client.ended(), pipe.cell.ended()) == [True, True]
        await at_rest(router)


async def test_silence_is_noticed_after_a_slow_client_caught_up(feed: MemoryFeed, cell: FakeCell) -> None:
    """The deadline for taking what is sent does not do away with the one for saying something."""
    data = os.urandom(20 * 2**20)
    async with (
        running(feed, pipe_idle_seconds=1.0) as router,
        piped(router, cell, receive_bytes=4096) as pipe,
    ):
        pipe.client.transport.pause_reading()
        pipe.cell.send(data)
        await eventually(lambda: pipe.between.write_paused)
        pipe.client.transport.resume_reading()
        assert await pipe.client.take(len(data)) == data
        assert await pipe.client.ended()


async def test_a_pipe_counts_as_a_connection_but_not_as_a_request(router: Router, cell: FakeCell) -> None:
    """It may stay for days; the requests that a cell is given at a time are those that wait for an answer."""
    async with piped(router, cell):
        tenant = router.lane.active[b"acme"]
        assert tenant.pool is not None
        assert (tenant.borrowed, tenant.pool.open, tenant.pool.awaiting) == (1, 1, 0)
    await at_rest(router)


async def test_a_tenants_pipes_are_bounded_as_its_connections_are(feed: MemoryFeed, cell: FakeCell) -> None:
    """Whoever comes then waits for its turn, and gets one when a pipe ends."""
    async with running(feed, tenant_connections=2, cell_wait_seconds=0.2) as router:
        await eventually(lambda: len(router.table))
        async with piped(router, cell), piped(router, cell):
            assert (await ask(router, get())).status == 503
        cell.script = None
        await at_rest(router)
        assert (await ask(router, get())).status == 200


async def test_many_pipes_leave_nothing_behind(router: Router, cell: FakeCell) -> None:
    """Whoever leaves first, and however."""
    for _, (leave, first) in itertools.product(
        range(8), itertools.product((closes, resets, stops_sending), ("client", "cell"))
    ):
        async with piped(router, cell) as pipe:
            pipe.client.send(frame(b"up", masked=True))
            assert (await pipe.cell.frame()).payload == b"up"
            leave(pipe.client if first == "client" else pipe.cell)
    await at_rest(router)
