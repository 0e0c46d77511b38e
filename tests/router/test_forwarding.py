"""Requests through a real router to cells made of raw sockets, byte by byte."""

import asyncio
import gzip
import json

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import KEY, OK, FakeCell, Seen, ask, connected, get, running
from tests.waiting import eventually


async def test_a_request_reaches_its_tenants_cell(router: Router, cell: FakeCell) -> None:
    """The tenant and its epoch travel in internal headers; the answer comes back."""
    answer = await ask(router, get("/v1/things?a=%2F"))
    assert (answer.status, answer.body, answer.complete) == (200, b"ok", True)
    [seen] = cell.seen
    assert seen.target == b"/v1/things?a=%2F"
    assert seen.values(b"cellway-tenant") == [b"acme"]
    assert seen.values(b"cellway-epoch") == [b"5"]
    assert seen.values(b"host") == [b"acme.api.localhost"]


@pytest.mark.parametrize(
    "target",
    ["/", "//a//b", "/%2e%2e/%2F/%c3%a9%00%zz", "/a/../b/./c", "/a?b=c?d=%26&e", "/a;x=1,2'(3)*!~", "/t/acme"],
)
async def test_a_target_arrives_byte_identical(router: Router, cell: FakeCell, target: str) -> None:
    """Nothing is decoded, normalised or encoded again."""
    await ask(router, get(target))
    [seen] = cell.seen
    assert seen.target == (b"/" if target == "/t/acme" else target.encode())


async def test_a_prefix_is_taken_off_and_told(router: Router, cell: FakeCell) -> None:
    """What stays is as it came."""
    await ask(router, get("/t/acme//x/%2e?y"))
    [seen] = cell.seen
    assert seen.target == b"//x/%2e?y"
    assert seen.values(b"x-forwarded-prefix") == [b"/t/acme"]


async def test_an_absolute_target_names_the_host(router: Router, cell: FakeCell) -> None:
    """It outranks the header, and a cell gets the origin form (RFC 9112 section 3.2.2)."""
    line = b"GET http://acme.api.localhost:80/x?y HTTP/1.1\r\nHost: beta.api.localhost\r\n"
    answer = await ask(router, line + b"Authorization: Bearer " + KEY.encode() + b"\r\n\r\n")
    assert answer.status == 200
    [seen] = cell.seen
    assert (seen.target, seen.values(b"host")) == (b"/x?y", [b"acme.api.localhost:80"])


async def test_headers_travel_as_bytes_both_ways(router: Router, cell: FakeCell) -> None:
    """Also those that are no UTF-8: Latin-1 is still found in the wild."""
    cell.answers = [b"HTTP/1.1 299 Caf\xe9 \xff\r\nX-Caf: \xe9\xff\r\nset-Cookie: a\r\nSET-COOKIE: b\r\n"
                    b"Content-Length: 0\r\nServer: secret\r\nCellway-Epoch: 5\r\n\r\n"]  # fmt: skip
    raw = get(extra="X-Caf: \xe9\xff\r\n").decode().encode("latin-1")
    answer = await ask(router, raw)
    assert answer.status == 299
    assert b"HTTP/1.1 299 Caf\xe9 \xff\r\nX-Caf: \xe9\xff\r\nset-Cookie: a\r\nSET-COOKIE: b\r\n" in answer.raw
    assert b"secret" not in answer.raw
    assert b"Cellway" not in answer.raw
    assert b"\r\nX-Caf: \xe9\xff\r\n" in cell.seen[0].raw


async def test_no_header_is_made_up(router: Router, cell: FakeCell) -> None:
    """Neither a Content-Type, nor an Accept, nor a User-Agent."""
    await ask(router, get())
    names = {name for name, _ in cell.seen[0].headers}
    assert names == {
        b"host", b"authorization", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded",
        b"via", b"traceparent", b"x-request-id", b"cellway-tenant", b"cellway-epoch",
    }  # fmt: skip
    cell.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"]
    answer = await ask(router, get())
    assert {name for name, _ in answer.headers} == {b"content-length", b"date", b"x-request-id"}


async def test_a_compressed_body_passes_untouched(router: Router, cell: FakeCell) -> None:
    """In both directions."""
    packed = gzip.compress(b"hello" * 1000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    cell.answers = [head + packed]
    extra = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n"
    answer = await ask(router, get(method="POST", extra=extra) + packed)
    assert answer.body == packed
    assert cell.seen[0].body == packed
    assert cell.seen[0].values(b"content-encoding") == [b"gzip"]


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_all_sizes_arrive_whole(
    router: Router, cell: FakeCell, length: int, chunked: bool
) -> None:
    """Framed as the client framed them."""
    body = bytes(range(256)) * (length // 256 + 1)
    body = body[:length]
    if chunked:
        pieces = [body[start : start + 50_000] for start in range(0, length, 50_000)]
        sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        extra = "Transfer-Encoding: chunked\r\n"
    else:
        sent, extra = body, f"Content-Length: {length}\r\n"
    answer = await ask(router, get(method="POST", extra=extra) + sent)
    assert answer.status == 200
    [seen] = cell.seen
    assert seen.body == body
    assert bool(seen.values(b"transfer-encoding")) is chunked


async def test_kept_connections_are_used_again_on_both_sides(router: Router, cell: FakeCell) -> None:
    """Many requests, one connection here and one there; pipelined ones are answered in order."""
    async with connected(router) as client:
        for number in range(3):
            client.send(get(f"/{number}"))
            assert (await client.answer()).status == 200
        cell.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(5)]
        client.send(b"".join(get(f"/pipelined/{number}") for number in range(5)))
        assert [(await client.answer()).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert cell.connections == 1


CHUNKS = b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "method", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HEAD", 200, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HEAD", 200, b""),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"HEAD", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"GET", 304, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, b"GET", 200, b"abc"),
        (HINTS + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"GET", 200, b"x"),
        (b"HTTP/1.1 500 \r\nContent-Length: 1\r\n\r\nx", b"GET", 500, b"x"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", b"GET", 200, b"x"),
    ],
)
async def test_responses_of_all_kinds_end_where_they_should(
    router: Router, cell: FakeCell, answer: bytes, method: bytes, status: int, body: bytes
) -> None:
    """And the client's connection goes on."""
    cell.answers = [answer]
    async with connected(router) as client:
        client.send(get(method=method.decode()))
        found = await client.answer(method)
        assert (found.status, found.body, found.complete) == (status, body, True)
        client.send(get("/next"))
        assert (await client.answer()).status == 200


async def test_a_body_that_ends_with_the_connection_is_chunked_for_the_client(
    router: Router, cell: FakeCell
) -> None:
    """So that its end can be told from a fault."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        writer.close()

    cell.script = script
    answer = await ask(router, get())
    assert (answer.body, answer.complete) == (b"until the end", True)
    assert answer.values(b"transfer-encoding") == [b"chunked"]


async def test_an_http_1_0_client_gets_what_it_understands(router: Router, cell: FakeCell) -> None:
    """No chunks; the connection ends with the body."""
    cell.answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
    async with connected(router) as client:
        client.send(get().replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.values(b"transfer-encoding")) == (200, b"ab", [])
        assert await client.closed()
    assert [via.rpartition(b"-")[0] for via in cell.seen[0].values(b"via")] == [b"1.0 cellway"]


async def test_expect_is_answered_once_and_not_passed_on(router: Router, cell: FakeCell) -> None:
    """The router itself asks for the body."""
    async with connected(router) as client:
        client.send(get(method="POST", extra="Content-Length: 3\r\nExpect: 100-continue\r\n"))
        interim = await client.reader.readuntil(b"\r\n\r\n")
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert (await client.answer(b"POST")).status == 200
    [seen] = cell.seen
    assert (seen.body, seen.values(b"expect")) == (b"abc", [])


async def test_who_waits_to_be_asked_is_refused_without_an_upload(router: Router, cell: FakeCell) -> None:
    """A final answer at once, and the connection ends: the body may or may not come."""
    async with connected(router) as client:
        client.send(get(method="POST", key=None, extra="Content-Length: 3000000\r\nExpect: 100-continue\r\n"))
        answer = await client.answer(b"POST")
        assert answer.status == 401
        assert b"100 Continue" not in answer.raw
        assert answer.values(b"connection") == [b"close"]
    assert not cell.seen


async def test_other_expectations_are_refused(router: Router) -> None:
    """417, as RFC 9110 section 10.1.1 has it."""
    assert (await ask(router, get(extra="Expect: a-miracle\r\n"))).status == 417


async def test_an_upgrade_to_anything_but_a_websocket_is_ignored(router: Router, cell: FakeCell) -> None:
    """The cell sees a plain request, and the connection ends: what follows might be in another protocol."""
    extra = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with connected(router) as client:
        client.send(get(extra=extra))
        assert (await client.answer()).status == 200
        assert await client.closed()
    assert cell.seen[0].values(b"upgrade") == []


async def test_unknown_disagreeing_and_unnamed_tenants(router: Router, feed: MemoryFeed) -> None:
    """Each gets its own kind of answer, and none tells which tenants exist."""
    line = b"GET %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ck_%s_" + b"k" * 43 + b"\r\n\r\n"
    real = await ask(router, line % (b"/t/acme/x", b"beta"))
    unreal = await ask(router, line % (b"/t/nope/x", b"beta"))
    assert (real.status, unreal.status) == (404, 404)
    assert real.body == unreal.body
    no_key = await ask(router, get(key=None))
    unknown_key = await ask(router, line % (b"/", b"nope"))
    assert (no_key.status, unknown_key.status) == (401, 401)
    assert no_key.body == unknown_key.body
    assert no_key.values(b"www-authenticate") == [b"Bearer"]
    async with running(feed, require_api_key=False) as other:
        await eventually(lambda: len(other.table))
        assert (await ask(other, b"GET /t/nope/x HTTP/1.1\r\nHost: h\r\n\r\n")).status == 404
        unnamed = await ask(other, b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert unnamed.status == 400
    assert b"X-Tenant" in unnamed.body


async def test_errors_are_problems_with_a_request_id(router: Router) -> None:
    """Also for HEAD, where the body is left out but its length is told."""
    answer = await ask(router, get(key=None, extra="X-Request-Id: mine-1\r\n"))
    problem = json.loads(answer.body)
    assert answer.values(b"content-type") == [b"application/problem+json"]
    assert answer.values(b"x-request-id") == [b"mine-1"]
    assert (problem["code"], problem["retryable"]) == ("UNAUTHENTICATED", False)
    assert answer.values(b"server") == []
    head = await ask(router, get(key=None, method="HEAD"), b"HEAD")
    assert (head.status, head.body, head.complete) == (401, b"", True)


async def test_a_late_answer_does_not_hold_up_a_neighbour(router: Router, cell: FakeCell) -> None:
    """Each request has a connection of its own."""
    held = asyncio.Event()

    async def script(seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.target == b"/slow":
            await held.wait()
        writer.write(OK)

    cell.script = script
    async with connected(router) as slow:
        slow.send(get("/slow"))
        await eventually(lambda: cell.seen)
        assert (await ask(router, get("/quick"))).status == 200
        held.set()
        assert (await slow.answer()).status == 200


async def test_what_a_cell_sends_early_arrives_early(router: Router, cell: FakeCell) -> None:
    """Server-sent events and long polls: each piece is passed on when it comes."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await go_on.wait()
        go_on.clear()
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await go_on.wait()
        writer.write(b"0\r\n\r\n")

    cell.script = script
    async with connected(router) as client:
        client.send(get())
        await client.reader.readuntil(b"\r\n\r\n")
        go_on.set()
        assert await client.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: 1\n\n\r\n"
        go_on.set()
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"


async def test_a_body_that_comes_slowly_is_passed_on_as_it_comes(feed: MemoryFeed, cell: FakeCell) -> None:
    """A chunked upload may be a conversation, once it is more than is read ahead."""
    pieces: list[bytes] = []

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()) != b"0\r\n":
            pieces.append((await reader.readexactly(int(line, 16) + 2))[:-2])
        await reader.readline()
        writer.write(OK)
        await writer.drain()

    cell.raw = raw
    async with running(feed, replay_bytes=0) as router, connected(router) as client:
        await eventually(lambda: len(router.table))
        client.send(get(method="POST", extra="Transfer-Encoding: chunked\r\n"))
        for number in range(3):
            client.send(b"1\r\n%d\r\n" % number)
            await eventually(lambda number=number: pieces == [b"%d" % each for each in range(number + 1)])
        client.send(b"0\r\n\r\n")
        assert (await client.answer(b"POST")).status == 200
