"""Small answers wait for the end of the turn in which they came: bounded, and never longer than their client."""

import asyncio

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from router.client import UNSENT_BYTES, Client
from router.upstream.connection import Connection
from tests.router.faults.rest import resting
from tests.router.upstreams import OK, FakeCell, Seen, connected, get, settings
from tests.router.wires import Wire
from tests.waiting import eventually

LINE = b"HTTP/1.1 200 OK\r\n"


async def test_the_answers_of_one_turn_do_not_pile_up(feed: MemoryFeed) -> None:
    """What waits is sent as soon as it is more than a little, in order, and the rest at the end of the turn."""
    router = Router(settings(), feed)
    await router.follower.step()
    pool = router.cells.pool("cell-1")
    connection = Connection(pool)
    connection.connection_made(Wire("127.0.0.1"))
    connection.complete = connection.keeps = connection._sent_all = True
    pool._all.add(connection)
    pool._idle.append(connection)
    assert router.lane.tenants.find(b"acme", 0.0)
    wire, client, count = Wire("192.0.2.7"), Client(router.lane), 100
    client.connection_made(wire)

    client.data_received(get() * count)
    bodies = [b"%04d" % number * 250 for number in range(count)]
    most = 0
    for number, body in enumerate(bodies, 1):
        connection.data_received(b"%bContent-Length: 1000\r\n\r\n%b" % (LINE, body))
        most = max(most, number - wire.out.count(LINE))
    assert 1 < most <= UNSENT_BYTES / 1000
    await eventually(lambda: wire.out.count(LINE) == count)
    assert [each.partition(b"\r\n\r\n")[2] for each in bytes(wire.out).split(LINE)[1:]] == bodies
    client.connection_lost(None)
    await router.cells.close()


@pytest.mark.parametrize(
    "request_bytes",
    [get(), get(method="POST", extra="Transfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n\r\n"],
    ids=["usual", "careful"],
)
async def test_an_answer_goes_out_before_the_clients_end_is_heard(
    feed: MemoryFeed, cell: FakeCell, request_bytes: bytes
) -> None:
    """A client that stops sending in the very turn in which its answer came gets all of it."""
    asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(writer)

    cell.script = script
    async with resting(feed) as router, connected(router) as client:
        for last in (False, True):  # what came once is known the second time, and goes a shorter way
            client.send(request_bytes)
            writer = await asyncio.wait_for(asked.get(), 10.0)
            # Both without a pause between them, so the router hears of both within one turn.
            writer.write(OK)
            if last:
                client.writer.write_eof()
            answer = await client.answer()
            assert (answer.status, answer.body, answer.complete) == (200, b"ok", True)
        assert await client.reader.read() == b""
