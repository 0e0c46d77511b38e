"""What is refused on the wire: 400 and the connection ends, and nothing reaches a cell."""

import asyncio

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import KEY, FakeCell, connected, get, running
from tests.waiting import eventually

HOST = "Host: acme.api.localhost\r\n"
AUTH = f"Authorization: Bearer {KEY}\r\n"
SMUGGLED = get("/smuggled")


def raw(line: str = "POST /x HTTP/1.1", headers: str = "", *, host: str = HOST, body: bytes = b"") -> bytes:
    return f"{line}\r\n{host}{AUTH}{headers}\r\n".encode("latin-1") + body


REFUSED = {
    "length and coding": raw(headers="Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "coding and length": raw(headers="Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", body=b"0\r\n\r\n"),
    "two lengths": raw(headers="Content-Length: 5\r\nContent-Length: 5\r\n", body=b"hello"),
    "two different lengths": raw(headers="Content-Length: 5\r\nContent-Length: 6\r\n", body=b"hello"),
    "a list of lengths": raw(headers="Content-Length: 5, 5\r\n", body=b"hello"),
    "a signed length": raw(headers="Content-Length: +5\r\n", body=b"hello"),
    "a negative length": raw(headers="Content-Length: -5\r\n"),
    "a hexadecimal length": raw(headers="Content-Length: 0x5\r\n"),
    "an empty length": raw(headers="Content-Length:\r\n"),
    "a huge length": raw(headers="Content-Length: 99999999999999999999999\r\n"),
    "gzip, chunked": raw(headers="Transfer-Encoding: gzip, chunked\r\n", body=b"0\r\n\r\n"),
    "chunked twice": raw(headers="Transfer-Encoding: chunked, chunked\r\n", body=b"0\r\n\r\n"),
    "two codings": raw(headers="Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "a coding that is none": raw(headers="Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"),
    "identity": raw(headers="Transfer-Encoding: identity\r\n"),
    "a coding with a vertical tab": raw(headers="Transfer-Encoding: \x0bchunked\r\n", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": raw("POST /x HTTP/1.0", "Transfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "no host": raw(host=""),
    "two hosts": raw(host=HOST + HOST),
    "two different hosts": raw(host=HOST + "Host: beta.api.localhost\r\n"),
    "a host with a path": raw(host="Host: acme.api.localhost/x\r\n"),
    "a host with a user": raw(host="Host: a@acme.api.localhost\r\n"),
    "an empty host": raw(host="Host:\r\n"),
    "a space before the colon": raw(headers="X-Name : v\r\n"),
    "a folded line": raw(headers="X-Name: a\r\n b\r\n"),
    "a folded first line": raw("GET /x HTTP/1.1\r\n X: y"),
    "a NUL in a value": raw(headers="X-Name: a\x00b\r\n"),
    "a control byte in a value": raw(headers="X-Name: a\x1bb\r\n"),
    "a bare CR in a value": raw(headers="X-Name: a\rb\r\n"),
    "a bare LF after a value": raw(headers="X-Name: a\nX-Other: b\r\n"),
    "a space in a name": raw(headers="X Name: a\r\n"),
    "an empty name": raw(headers=": a\r\n"),
    "a name of high bytes": raw(headers="X-\xe9: a\r\n"),
    "a NUL in the target": raw("GET /a\x00b HTTP/1.1"),
    "a control byte in the target": raw("GET /a\x01b HTTP/1.1"),
    "a high byte in the target": raw("GET /\xe9 HTTP/1.1"),
    "a space in the target": raw("GET /a b HTTP/1.1"),
    "a fragment": raw("GET /a#b HTTP/1.1"),
    "a relative target": raw("GET a HTTP/1.1"),
    "an asterisk": raw("GET * HTTP/1.1"),
    "CONNECT": raw("CONNECT acme.api.localhost:80 HTTP/1.1"),
    "TRACE": raw("TRACE / HTTP/1.1"),
    "a method that is none": raw("G@T / HTTP/1.1"),
    "HTTP/2.0": raw("GET / HTTP/2.0"),
    "HTTP/1.2": raw("GET / HTTP/1.2"),
    "HTTP/0.9": raw("GET / HTTP/0.9"),
    "lower-case http": raw("GET / http/1.1"),
    "no version": b"GET /\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "an absolute target with a user": raw("GET http://u@acme.api.localhost/ HTTP/1.1"),
    "an absolute target of another scheme": raw("GET ftp://acme.api.localhost/ HTTP/1.1"),
    "two authorizations": raw(headers=AUTH),
    "two tenants": raw(headers="X-Tenant: acme\r\nX-Tenant: acme\r\n"),
    "a long line": raw("GET /" + "a" * 20_000 + " HTTP/1.1"),
    "a long header": raw(headers="X-Long: " + "a" * 20_000 + "\r\n"),
    "many headers": raw(headers="".join(f"X-{number}: 1\r\n" for number in range(200))),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_could_be_read_in_two_ways_ends_the_connection(
    router: Router, cell: FakeCell, name: str
) -> None:
    """Also what was sent behind it is not looked at."""
    async with connected(router) as client:
        client.send(REFUSED[name] + SMUGGLED)
        answer = await client.answer()
        assert answer.status in (400, 431)
        assert answer.values(b"content-type") == [b"application/problem+json"]
        assert answer.values(b"connection") == [b"close"]
        assert await client.closed()
    assert not cell.seen


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    ],
)
async def test_malformed_chunks_never_become_a_whole_request(router: Router, cell: FakeCell, body: bytes) -> None:
    """The client is refused, and the cell sees no end of what had begun."""
    async with connected(router) as client:
        client.send(raw(headers="Transfer-Encoding: chunked\r\n", body=body) + SMUGGLED)
        answer = await client.answer(b"POST")
        assert answer.status in (0, 400)
        assert await client.closed()
    await eventually(lambda: not cell.open or cell.aborted.is_set())
    assert not cell.seen


async def test_fields_in_trailers_do_not_matter(router: Router, cell: FakeCell) -> None:
    """They are dropped, so they can neither frame nor route."""
    trailers = b"0\r\nContent-Length: 9\r\nHost: beta\r\nCellway-Tenant: beta\r\nX-Tenant: beta\r\n\r\n"
    async with connected(router) as client:
        client.send(raw(headers="Transfer-Encoding: chunked\r\n", body=b"2\r\nok\r\n" + trailers))
        assert (await client.answer(b"POST")).status in (200, 400)
    for seen in cell.seen:
        assert seen.body == b"ok"
        assert b"beta" not in seen.raw


async def test_a_head_that_trickles_is_given_up(feed: MemoryFeed, cell: FakeCell) -> None:
    """From its first byte on, a head has a deadline of its own, however often something comes."""
    async with running(feed, head_seconds=0.2) as router, connected(router) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        answer = await client.answer()
        assert answer.status == 408
        assert await client.closed()
    assert not cell.seen


async def test_a_kept_connection_that_stays_silent_is_closed(feed: MemoryFeed) -> None:
    """So is one that never says anything."""
    async with running(feed, idle_seconds=0.2) as router, connected(router) as silent, connected(router) as kept:
        await eventually(lambda: len(router.table))
        kept.send(get())
        assert (await kept.answer()).status == 200
        assert await silent.closed()
        assert await kept.closed()


@pytest.mark.parametrize(("chunked", "status"), [(False, 408), (True, 408)])
async def test_a_body_that_stops_coming_is_given_up(
    feed: MemoryFeed, cell: FakeCell, chunked: bool, status: int
) -> None:
    """The client is told, and a cell sees nothing of it while it could still be small."""
    async with running(feed, body_idle_seconds=0.2) as router, connected(router) as client:
        await eventually(lambda: len(router.table))
        framing = "Transfer-Encoding: chunked\r\n" if chunked else "Content-Length: 5\r\n"
        client.send(raw(headers=framing, body=b"2\r\nab\r\n" if chunked else b"ab"))
        assert (await client.answer(b"POST")).status == status
        assert await client.closed()
    assert not cell.seen
    assert not cell.connections


async def test_a_client_that_leaves_takes_its_request_with_it(router: Router, cell: FakeCell) -> None:
    """The cell sees the connection end, so that it can stop working."""
    left = asyncio.Event()

    async def take_over(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        came.set()
        assert await reader.read() == b""
        left.set()

    came = asyncio.Event()
    cell.raw = take_over
    async with connected(router) as client:
        client.send(get())
        await asyncio.wait_for(came.wait(), 30)
    await asyncio.wait_for(left.wait(), 30)
