"""Clients that ask and do not read: what waits for them is bounded, and so is how long."""

import asyncio
from typing import cast

import pytest

from directory.memory_feed import MemoryFeed
from router import metrics
from router.app import Router
from router.client import Client
from tests.router.upstreams import FakeCell, Seen, connected, get, running
from tests.waiting import eventually


async def ask_without_reading(router: Router, request: bytes) -> int:
    """Pipelines 20,000 requests; returns the most bytes that ever waited to be taken, once it was cut off."""
    most = 0
    async with connected(router, receive_bytes=4096) as client:
        cast(asyncio.Transport, client.writer.transport).pause_reading()
        client.send(request * 20_000)
        [server_side] = await eventually(lambda: router.lane.clients)
        assert isinstance(server_side, Client)

        def cut() -> bool:
            nonlocal most
            wire = server_side._transport
            if wire is not None:
                most = max(most, wire.get_write_buffer_size())
            return wire is None

        await eventually(cut, every=0.005)
        client.writer.transport.abort()
    return most


@pytest.mark.parametrize("key", [None, "k"])
async def test_refusals_do_not_pile_up_for_a_client_that_does_not_read(feed: MemoryFeed, key: str | None) -> None:
    """The router's own answers wait for the client as a cell's do."""
    async with running(feed, write_idle_seconds=0.4) as router:
        await eventually(lambda: len(router.table))
        assert await ask_without_reading(router, get(key=key)) < 200_000


async def test_answers_do_not_pile_up_for_a_client_that_does_not_read(feed: MemoryFeed, cell: FakeCell) -> None:
    """Also when each of them is small and whole when it comes."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + bytes(20_000))

    cell.script = script
    async with running(feed, write_idle_seconds=0.4) as router:
        await eventually(lambda: len(router.table))
        assert await ask_without_reading(router, get()) < 200_000
    assert len(cell.seen) < 20_000


async def test_a_connection_that_is_to_end_does_not_wait_for_ever(feed: MemoryFeed) -> None:
    """Closing waits for the client to take what it was sent, by the same deadline."""
    async with running(feed, write_idle_seconds=0.3) as router, connected(router, receive_bytes=4096) as client:
        await eventually(lambda: len(router.table))
        cast(asyncio.Transport, client.writer.transport).pause_reading()
        [server_side] = await eventually(lambda: router.lane.clients)
        assert isinstance(server_side, Client)
        refused = metrics.REFUSALS.labels("401", "unauthenticated")._value
        while server_side._transport is not None and not server_side._transport.get_write_buffer_size():
            goal = refused.get() + 500
            client.send(get(key=None) * 500)
            await eventually(lambda goal=goal: refused.get() >= goal)
        client.send(b"this is not HTTP\r\n\r\n")
        await eventually(lambda: server_side._transport is None)
        client.writer.transport.abort()
