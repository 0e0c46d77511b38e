"""Connections that a load balancer introduces: the header comes first, by itself, and is believed."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.faults.certificates import Authority
from tests.router.faults.rest import resting
from tests.router.upstreams import Client, FakeCell, connected, get
from tests.waiting import eventually

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"
V1_OF_IPV6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n"


def v2(address: str, *, command: int = 1, more: bytes = b"") -> bytes:
    """A binary header: who came, and type-length-value triples."""
    source = ip_address(address)
    target = ip_address("192.0.2.1" if source.version == 4 else "2001:db8::1")
    block = source.packed + target.packed + (56324).to_bytes(2) + (443).to_bytes(2) + more
    family = 0x11 if source.version == 4 else 0x21
    return SIGNATURE + bytes([0x20 | command, family]) + len(block).to_bytes(2) + block


TLS_TRIPLE = b"\x20\x00\x05\x01\x00\x00\x00\x00"
HEADERS = {
    "v1": (V1, b"203.0.113.7", b"http"),
    "v1 IPv6": (V1_OF_IPV6, b"2001:db8::7", b"http"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", b"127.0.0.1", b"http"),
    "v2": (v2("203.0.113.7"), b"203.0.113.7", b"http"),
    "v2 IPv6": (v2("2001:db8::7"), b"2001:db8::7", b"http"),
    "v2 over TLS": (v2("203.0.113.7", more=TLS_TRIPLE), b"203.0.113.7", b"https"),
    "v2 local": (v2("203.0.113.7", command=0), b"127.0.0.1", b"http"),
}


@pytest.fixture
async def introduced(feed: MemoryFeed) -> AsyncIterator[Router]:
    """A router behind a balancer."""
    async with resting(feed, proxy_protocol=True, head_seconds=5.0) as made:
        yield made


async def eaten(client: Client, data: bytes) -> None:
    """Send byte by byte, each in a segment of its own."""
    raw = client.writer.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(len(data)):
        client.send(data[start : start + 1])
        await client.writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("kind", HEADERS)
async def test_the_cell_hears_who_the_balancer_says_it_is(
    introduced: Router, cell: FakeCell, kind: str, in_pieces: bool
) -> None:
    """For every request of the connection, and however the header was cut; what follows it is not touched."""
    header, address, scheme = HEADERS[kind]
    async with connected(introduced) as client:
        if in_pieces:
            await eaten(client, header + get("/1"))
        else:
            client.send(header + get("/1"))
        assert (await client.answer()).status == 200
        client.send(get("/2", extra="X-Forwarded-For: 198.51.100.9\r\n"))
        assert (await client.answer()).status == 200
    for seen in cell.seen:
        assert seen.values(b"x-forwarded-for") == [address]
        assert seen.values(b"x-forwarded-proto") == [scheme]
    assert [seen.target for seen in cell.seen] == [b"/1", b"/2"]


@pytest.mark.parametrize(
    "said",
    [
        get(),
        b"PROXY TCP4 203.0.113.300 192.0.2.1 1 2\r\n" + get(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 1 99999\r\n" + get(),
        b"PROXY " + b"x" * 200,
        b"proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n" + get(),
        b"\r\n\r\n\x00\r\nQUIT\r" + get(),
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12) + get(),
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(4) + get(),
        SIGNATURE + b"\x21\x11\xff\xff" + get(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    ],
)
async def test_whoever_is_not_introduced_is_not_spoken_to(introduced: Router, cell: FakeCell, said: bytes) -> None:
    """Not a byte in answer: the connection ends."""
    async with connected(introduced) as client:
        client.send(said)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(client.reader.read(), 8.0) == b""
    assert not cell.seen


@pytest.mark.parametrize("said", [b"", V1[:20], v2("203.0.113.7")[:20]])
async def test_an_introduction_that_does_not_end_is_ended(feed: MemoryFeed, cell: FakeCell, said: bytes) -> None:
    """By the deadline of a head, or with its connection; others are introduced meanwhile."""
    async with resting(feed, proxy_protocol=True, head_seconds=0.5) as router, connected(router) as client:
        client.send(said)
        async with connected(router) as gone:
            gone.send(said)
        async with connected(router) as other:
            other.send(V1 + get())
            assert (await other.answer()).status == 200
        assert await asyncio.wait_for(client.reader.read(), 8.0) == b""


async def test_what_a_trusted_proxy_says_is_added_to(feed: MemoryFeed, cell: FakeCell) -> None:
    """The address that the header names decides who is trusted, not the balancer's own."""
    async with (
        resting(feed, proxy_protocol=True, trusted_proxies="203.0.113.0/24") as router,
        connected(router) as trusted,
        connected(router) as stranger,
    ):
        for client, header in ((trusted, V1), (stranger, V1.replace(b"203.0.113.7", b"198.51.100.7"))):
            client.send(header + get(extra="X-Forwarded-For: 192.0.2.55\r\n"))
            assert (await client.answer()).status == 200
    found = [seen.values(b"x-forwarded-for") for seen in cell.seen]
    assert found == [[b"192.0.2.55, 203.0.113.7"], [b"198.51.100.7"]]


@pytest.mark.parametrize("header", [V1, v2("203.0.113.7")], ids=["v1", "v2"])
async def test_tls_comes_behind_the_introduction(
    feed: MemoryFeed, cell: FakeCell, tmp_path: Path, header: bytes
) -> None:
    """The balancer passes TLS on as it is; the header stands before its first byte."""
    authority = Authority(tmp_path)
    shown = authority.signs("router")
    files = {"tls_certificate": str(shown.certificate), "tls_key": str(shown.key)}
    async with resting(feed, proxy_protocol=True, head_seconds=1.0, **files) as router:
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", router.site.port))
        await loop.sock_sendall(raw, header)
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=authority.client_context(), server_hostname="acme.api.localhost"
        )
        client = Client(reader, writer)
        client.send(get())
        assert (await client.answer()).status == 200
        client.close()
        async with connected(router) as stalling:
            stalling.send(header + b"\x16\x03\x01")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(stalling.reader.read(), 8.0) == b""
        await eventually(lambda: not router.lane.clients)
    [seen] = cell.seen
    assert seen.values(b"x-forwarded-for") == [b"203.0.113.7"]
    assert seen.values(b"x-forwarded-proto") == [b"https"]
