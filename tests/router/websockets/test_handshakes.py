"""The opening handshake: which are passed on, and which answers are (RFC 6455 section 4)."""

import asyncio

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, ask, connected, get, running
from tests.router.websockets.wires import (
    ACCEPT,
    NONCE,
    NONCE_LINE,
    SWITCHING,
    UPGRADE,
    accepting,
    answer_head,
    at_rest,
    handshake,
    piped,
)
from tests.waiting import eventually

NOT_HANDSHAKES = {
    "another method": get(method="POST", extra=UPGRADE + NONCE_LINE),
    "an older HTTP": get(extra=UPGRADE + NONCE_LINE).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no key": get(extra=UPGRADE),
    "two keys": get(extra=UPGRADE + NONCE_LINE * 2),
    "no option": get(extra="Upgrade: websocket\r\n" + NONCE_LINE),
    "no protocol": get(extra="Connection: Upgrade\r\n" + NONCE_LINE),
    "another protocol": get(extra="Upgrade: h2c\r\nConnection: Upgrade\r\n" + NONCE_LINE),
    "two protocols": get(extra="Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + NONCE_LINE),
    "a protocol twice": get(extra="Upgrade: websocket\r\n" + UPGRADE + NONCE_LINE),
    "a body": get(extra=UPGRADE + NONCE_LINE + "Content-Length: 2\r\n") + b"ok",
}


@pytest.mark.parametrize("request_bytes", NOT_HANDSHAKES.values(), ids=NOT_HANDSHAKES.keys())
async def test_what_is_no_handshake_is_an_ordinary_request(
    router: Router, cell: FakeCell, request_bytes: bytes
) -> None:
    """A wish for another protocol is for the next hop alone, and may be ignored (RFC 9110 section 7.8)."""
    method = request_bytes.partition(b" ")[0]
    answer = await ask(router, request_bytes, method)
    assert answer.status == 200
    assert answer.values(b"upgrade") == []
    [seen] = cell.seen
    assert (seen.values(b"upgrade"), seen.values(b"connection")) == ([], [])


@pytest.mark.parametrize("request_bytes", NOT_HANDSHAKES.values(), ids=NOT_HANDSHAKES.keys())
async def test_what_follows_a_handshake_that_was_not_one_is_never_a_request(
    router: Router, cell: FakeCell, request_bytes: bytes
) -> None:
    """The client may believe that it speaks another protocol, whose bytes somebody else may have chosen."""
    async with connected(router) as client:
        client.send(request_bytes)
        client.send(get("/chosen-by-somebody-else"))
        assert (await client.answer(request_bytes.partition(b" ")[0])).status == 200
        assert await client.closed()
    assert [seen.target for seen in cell.seen] == [b"/v1/things"]


@pytest.mark.parametrize("spelled", ["WebSocket", "WEBSOCKET", "websocket"])
@pytest.mark.parametrize("options", ["Upgrade", "keep-alive, Upgrade", "upgrade,keep-alive"])
async def test_a_handshake_is_recognised_however_it_is_spelled(
    router: Router, cell: FakeCell, spelled: str, options: str
) -> None:
    """Both values are compared without regard to case, and Connection is a list (RFC 6455 section 4.2.1)."""
    accepting(cell)
    async with connected(router) as client:
        client.send(get(extra=f"Upgrade: {spelled}\r\nConnection: {options}\r\n{NONCE_LINE}"))
        assert (await answer_head(client)).startswith(b"HTTP/1.1 101 ")


async def test_what_both_sides_say_of_the_websocket_travels(router: Router, cell: FakeCell) -> None:
    """Key, version, subprotocols and extensions are between the client and the cell."""
    asked = {
        b"sec-websocket-key": NONCE.encode(),
        b"sec-websocket-version": b"13",
        b"sec-websocket-protocol": b"chat.v2, chat.v1",
        b"sec-websocket-extensions": b"permessage-deflate; client_max_window_bits",
        b"origin": b"https://app.example.com",
        b"cookie": b"a=b",
    }
    ends = accepting(
        cell, extra=b"Sec-WebSocket-Protocol: chat.v2\r\nSec-WebSocket-Extensions: x; y=1\r\nX-Own: 7\r\n"
    )
    async with connected(router) as client:
        lines = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in asked.items())
        client.send(get(extra=UPGRADE + lines))
        told = (await answer_head(client)).decode().split("\r\n")
        await ends.get()
    [seen] = cell.seen
    assert {name: seen.values(name) for name in asked} == {name: [value] for name, value in asked.items()}
    assert [value.lower() for value in seen.values(b"upgrade")] == [b"websocket"]
    assert [value.lower() for value in seen.values(b"connection")] == [b"upgrade"]
    assert seen.values(b"cellway-tenant") == [b"acme"]
    assert told[0] == "HTTP/1.1 101 Switching Protocols"
    for line in [
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {ACCEPT}",
        "Sec-WebSocket-Protocol: chat.v2",
        "Sec-WebSocket-Extensions: x; y=1",
        "X-Own: 7",
    ]:
        assert told.count(line) == 1, line


NO_ANSWERS = {
    "another protocol": SWITCHING.replace(b"websocket", b"h2c"),
    "no protocol": SWITCHING.replace(b"Upgrade: websocket\r\n", b""),
    "no accept": b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE.encode(),
    "two accepts": SWITCHING + f"Sec-WebSocket-Accept: {ACCEPT}\r\n".encode(),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_only_a_whole_answer_opens_a_websocket(feed: MemoryFeed, cell: FakeCell, answer: bytes) -> None:
    """The client is told that its cell is at fault, and is not left with something that is no WebSocket."""
    cell.answers = [answer + b"\r\n"] * 2
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        assert (await ask(router, handshake())).status == 502
        await at_rest(router)


async def test_a_websocket_opens_only_for_who_asked(feed: MemoryFeed, cell: FakeCell) -> None:
    """A 101 to a plain request is a fault of the cell's."""
    cell.answers = [SWITCHING + b"\r\n"] * 2
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        assert (await ask(router, get())).status == 502


ORDINARY_ANSWERS = {
    "403": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: origin\r\n\r\nno", 403, b"no"),
    "426": (
        b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13, 8\r\nContent-Length: 0\r\n\r\n",
        426,
        b"",
    ),
    "200": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n0\r\n\r\n", 200, b"foo"),
    "401": (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="x"\r\nContent-Length: 0\r\n\r\n',
        401,
        b"",
    ),
}


@pytest.mark.parametrize(("sent", "status", "body"), ORDINARY_ANSWERS.values(), ids=ORDINARY_ANSWERS.keys())
async def test_a_cell_may_answer_a_handshake_with_anything_else(
    router: Router, cell: FakeCell, sent: bytes, status: int, body: bytes
) -> None:
    """It arrives as it is (RFC 6455 section 4.2.2), and frames sent in advance are not read as a request."""
    cell.answers = [sent]
    async with connected(router) as client:
        client.send(handshake() + get("/chosen-by-somebody-else"))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.complete) == (status, body, True)
        assert answer.values(b"upgrade") == []
        assert answer.values(b"sec-websocket-version") == ([b"13, 8"] if status == 426 else [])
        assert await client.closed()
    assert len(cell.seen) == 1


async def test_interim_answers_may_come_before_a_websocket_opens(router: Router, cell: FakeCell) -> None:
    """A cell may hint at what it prepares (RFC 8297) and switch afterwards."""

    async def script(_seen: object, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCHING + b"\r\n")
        await writer.wait_closed()

    cell.script = script
    async with connected(router) as client:
        client.send(handshake())
        assert (await answer_head(client)).startswith(b"HTTP/1.1 103 ")
        assert (await answer_head(client)).startswith(b"HTTP/1.1 101 ")


async def test_nothing_is_lost_that_comes_right_behind_the_heads(router: Router, cell: FakeCell) -> None:
    """Either side may be fast: what it sends in the same segment as its head belongs to the pipe."""
    async with piped(router, cell, behind=b"from the client", early=b"from the cell") as pipe:
        assert await pipe.cell.take(15) == b"from the client"
        assert await pipe.client.take(13) == b"from the cell"


async def test_much_may_come_right_behind_the_heads(router: Router, cell: FakeCell) -> None:
    """More than is read ahead for an ordinary request is waited with, not refused."""
    up, down = bytes(range(256)) * 4000, bytes(range(255, -1, -1)) * 4000
    async with piped(router, cell, behind=up, early=down) as pipe:
        assert await pipe.cell.take(len(up)) == up
        assert await pipe.client.take(len(down)) == down


async def test_a_websocket_may_follow_other_requests_on_a_connection(router: Router, cell: FakeCell) -> None:
    """Also when they were sent without waiting for answers."""
    async with connected(router) as client:
        cell.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"]
        client.send(get())
        assert (await client.answer()).body == b"one"
        ends = accepting(cell)
        client.send(handshake() + b"early")
        assert (await answer_head(client)).startswith(b"HTTP/1.1 101 ")
        assert await (await ends.get()).take(5) == b"early"


async def test_websockets_can_be_switched_off(feed: MemoryFeed, cell: FakeCell) -> None:
    """Then a handshake is a request like any other, and the cell says what it thinks of it."""
    async with running(feed, websockets=False) as router:
        await eventually(lambda: len(router.table))
        answer = await ask(router, handshake())
    assert (answer.status, answer.body) == (200, b"ok")
    assert cell.seen[0].values(b"upgrade") == []
    assert answer.values(b"connection") == [b"close"]


async def test_a_websocket_without_a_credential_is_refused(router: Router, cell: FakeCell) -> None:
    """Like every request, and before the cell hears of it."""
    answer = await ask(router, handshake().replace(b"Authorization", b"X-Authorization"))
    assert answer.status == 401
    assert cell.seen == []


async def test_the_answer_to_a_handshake_has_no_framing(router: Router, cell: FakeCell) -> None:
    """A 101 must not have a length or a coding (RFC 9112 section 6.1): what follows is no body."""
    async with piped(router, cell, extra=b"Content-Length: 5\r\n", early=b"hello") as pipe:
        assert b"content-length" not in pipe.head.lower()
        assert b"transfer-encoding" not in pipe.head.lower()
        assert await pipe.client.take(5) == b"hello"
