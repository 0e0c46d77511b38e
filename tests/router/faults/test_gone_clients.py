"""Clients that leave in the midst: the cell's connection is closed, and nothing of them is left behind."""

import asyncio
from collections.abc import Callable

import pytest

from directory.memory_feed import MemoryFeed
from router.client import Client as ServerSide
from tests.router.faults.cells import (
    CHUNKED,
    ENDLESS,
    EVENT,
    EVENTS,
    PIECE,
    chunk,
    deaf,
    endless,
    long,
    reset,
    saying,
    silent,
)
from tests.router.faults.rest import resting
from tests.router.upstreams import Client, FakeCell, connected, get
from tests.waiting import eventually

Leave = Callable[[asyncio.StreamWriter], None]


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize(
    ("head", "piece"),
    [(long(), PIECE), (CHUNKED, chunk(PIECE)), (ENDLESS, PIECE), (EVENTS, chunk(EVENT))],
    ids=["length", "chunked", "endless", "events"],
)
async def test_a_client_that_leaves_a_download_stops_its_cell(
    feed: MemoryFeed, cell: FakeCell, head: bytes, piece: bytes, leave: Leave
) -> None:
    """Whatever the framing, and whether it says goodbye or not."""
    cell.script = endless(head, piece)
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        await client.reader.readexactly(200_000)
        leave(client.writer)
        await asyncio.wait_for(cell.aborted.wait(), 30)
        await eventually(lambda: not cell.open)
        assert not router.lane.clients


@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize("framing", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_an_upload_leaves_half_a_request(
    feed: MemoryFeed, cell: FakeCell, framing: str, leave: Leave
) -> None:
    """The cell sees the connection end before the body does, so it can carry out nothing."""
    async with resting(feed, replay_bytes=1000) as router, connected(router) as client:
        client.send(get(method="POST", extra=framing + "\r\n") + chunk(PIECE))
        await eventually(lambda: cell.open)
        client.send(chunk(PIECE))
        await client.writer.drain()
        leave(client.writer)
        await asyncio.wait_for(cell.aborted.wait(), 30)
    assert not cell.seen


@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize("raw", [deaf, saying(b"HTTP/1.1 2"), saying(b"HTTP/1.1 103 Early Hints\r\n\r\n")])
async def test_a_client_that_leaves_before_the_answer_takes_its_request_along(
    feed: MemoryFeed, cell: FakeCell, raw: Callable[..., object], leave: Leave
) -> None:
    """Nobody would hear it."""
    cell.raw = raw  # type: ignore[assignment]
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        await eventually(lambda: cell.open)
        leave(client.writer)
        await eventually(lambda: not cell.open)
        assert not router.lane.clients


async def test_a_client_that_leaves_while_it_waits_for_a_connection_gives_up_its_place(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Whoever waits behind it comes to their turn, and nothing is sent for those who left."""
    cell.raw = deaf
    async with (
        resting(feed, cell_connections=1, cell_wait_seconds=30.0, cell_waiting=50) as router,
        connected(router) as first,
    ):
        first.send(get())
        await eventually(lambda: cell.open)
        pool = router.cells.pool("cell-1")
        waiting = [await asyncio.open_connection("127.0.0.1", router.site.port) for _ in range(20)]
        for _, writer in waiting:
            writer.write(get())
        await eventually(lambda: len(pool._queue) == 20)
        for _, writer in waiting:
            reset(writer)
        await eventually(lambda: not pool._queue)
        assert len(cell.open) == 1


async def test_a_client_that_leaves_while_its_cell_takes_nothing_frees_the_cell(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """An upload that stands still because of the cell: the client is noticed as soon as it resets."""
    cell.raw = silent
    async with resting(feed, response_seconds=1.0) as router, connected(router) as client:
        client.send(get(method="PUT", extra="Content-Length: 1000000000\r\n"))
        for _ in range(300):
            client.send(PIECE)
        [server_side] = await eventually(lambda: router.lane.clients)
        assert isinstance(server_side, ServerSide)
        await eventually(lambda: server_side._reading_paused)
        reset(client.writer)


async def test_a_thousand_clients_that_leave_at_any_moment_leave_nothing(feed: MemoryFeed, cell: FakeCell) -> None:
    """At every step of a request there is somebody who leaves."""
    post = get(method="POST", extra="Transfer-Encoding: chunked\r\n") + chunk(b"some") + b"0\r\n\r\n"
    async with resting(feed) as router:

        async def leaver(number: int) -> None:
            async with connected(router) as client:
                client.send(post[: 1 + number % len(post)])
                for _ in range(number % 13):
                    await asyncio.sleep(0)
                _leave(client, number)

        for start in range(0, 1000, 50):
            await asyncio.gather(*(leaver(number) for number in range(start, start + 50)))
        async with connected(router) as client:
            client.send(post)
            assert (await client.answer(b"POST")).status == 200


def _leave(client: Client, number: int) -> None:
    (reset if number % 2 else close)(client.writer)
