"""Connections that are no clients yet: they take files, so they are counted; and what happens without a file."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from directory.memory_feed import MemoryFeed
from router import listener, metrics
from tests.router.faults.certificates import Authority
from tests.router.faults.rest import resting
from tests.router.upstreams import Client, FakeCell, connected, get
from tests.waiting import eventually

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"


def refused() -> float:
    return float(metrics.CLIENTS_REFUSED._value.get())


async def test_whoever_says_nothing_counts_as_a_connection(feed: MemoryFeed, cell: FakeCell) -> None:
    """Before its introduction too: one too many is closed at once, and there is room again when one leaves."""
    before = refused()
    settings = {"proxy_protocol": True, "client_connections": 2, "head_seconds": 30.0}
    async with resting(feed, **settings) as router, connected(router) as served:
        served.send(V1 + get())
        assert (await served.answer()).status == 200
        async with connected(router):
            await eventually(lambda: len(router.site._arriving) == 1)
            async with connected(router) as third:
                assert await third.closed()
            assert refused() == before + 1
        await eventually(lambda: not router.site._arriving)
        async with connected(router) as again:
            again.send(V1 + get())
            assert (await again.answer()).status == 200
            served.send(get())
            assert (await served.answer()).status == 200


async def test_a_handshake_under_way_counts_as_a_connection(
    feed: MemoryFeed, cell: FakeCell, tmp_path: Path
) -> None:
    """Whoever stops within it takes no more than one place, and gives it back."""
    authority = Authority(tmp_path)
    shown = authority.signs("router")
    files = {"tls_certificate": str(shown.certificate), "tls_key": str(shown.key)}
    before = refused()
    async with resting(feed, client_connections=1, head_seconds=30.0, **files) as router:
        async with connected(router):
            await eventually(lambda: len(router.site._arriving) == 1)
            async with connected(router) as second:
                with contextlib.suppress(ConnectionError):
                    assert await second.closed()
            assert refused() == before + 1
        await eventually(lambda: not router.site._arriving)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", router.site.port, ssl=authority.client_context(), server_hostname="acme.api.localhost"
        )
        client = Client(reader, writer)
        client.send(get())
        assert (await client.answer()).status == 200
        assert (len(router.lane.clients), len(router.site._arriving)) == (1, 0)
        client.close()


@contextlib.contextmanager
def no_file_left() -> Iterator[None]:
    """Nothing more can be opened in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_router_without_files_for_clients_takes_them_later(
    feed: MemoryFeed, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so once, is not kept busy meanwhile, and goes on by itself."""
    async with resting(feed, proxy_protocol=True) as router:
        raws = [socket.socket() for _ in range(8)]  # some may find a file that something else just closed
        said = structlog.testing.LogCapture()
        monkeypatch.setattr(listener, "log", structlog.wrap_logger(None, processors=[said]))
        with no_file_left():
            for raw in raws:
                raw.setblocking(False)
                await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", router.site.port))
            await eventually(lambda: said.entries)
            for _ in range(20):
                await asyncio.sleep(0)
            assert [entry["event"] for entry in said.entries] == ["accept_failed"]
        for raw in raws:
            client = Client(*await asyncio.open_connection(sock=raw))
            client.send(V1 + get())
            assert (await client.answer()).status == 200
            client.close()


async def test_a_router_that_pauses_can_end(feed: MemoryFeed) -> None:
    """What was to go on after the pause finds nothing to go on with."""
    async with resting(feed, proxy_protocol=True) as router:
        router.site._pause()
    router.site._resume()
    assert router.site._socket is None
