"""What reaches a cell through HAProxy, what comes back, and what becomes of a cell's refusal."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from directory.memory_feed import MemoryFeed
from tests.router.export.proxies import Export, Haproxy, exported, following
from tests.router.upstreams import OK, FakeCell, Seen, ask, connected, get, move, serving, snapshot_of

MISDIRECTED = b"HTTP/1.1 421 Misdirected Request\r\nCellway-Epoch: 9\r\nContent-Length: 3\r\n\r\nno!"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Haproxy, FakeCell]]:
    """HAProxy before one cell; nobody follows."""
    async with serving(FakeCell()) as cell:
        feed = MemoryFeed()
        await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
        async with exported(feed) as haproxy:
            yield haproxy, cell


async def seen_after(served: tuple[Haproxy, FakeCell], data: bytes) -> Seen:
    haproxy, cell = served
    cell.seen.clear()
    assert (await ask(haproxy, data)).status == 200  # type: ignore[arg-type]
    [seen] = cell.seen
    return seen


async def test_what_a_client_says_about_itself_is_replaced(served: tuple[Haproxy, FakeCell]) -> None:
    """Nobody forges where a request came from, whom it is for, or its epoch."""
    forged = "".join(
        f"{name}: forged\r\n"
        for name in (
            "Cellway-Tenant", "CELLWAY-Epoch", "Cellway-Other", "X-Forwarded-For",
            "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded",
            "X-Real-Ip", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade",
        )
    )  # fmt: skip
    seen = await seen_after(served, get("/t/acme/x", extra=forged + "Accept: a\r\n"))
    assert b"forged" not in seen.raw
    expected = {
        b"x-forwarded-for": b"127.0.0.1",
        b"x-forwarded-proto": b"http",
        b"x-forwarded-host": b"acme.api.localhost",
        b"x-forwarded-prefix": b"/t/acme",
        b"forwarded": b'for=127.0.0.1;host="acme.api.localhost";proto=http',
        b"cellway-tenant": b"acme",
        b"cellway-epoch": b"5",
        b"host": b"acme.api.localhost",
        b"accept": b"a",
    }
    assert {name: seen.values(name) for name in expected} == {name: [value] for name, value in expected.items()}
    [via] = seen.values(b"via")
    assert via.startswith(b"1.1 cellway-")


async def test_a_trusted_proxys_word_is_kept_and_appended_to(served: tuple[Haproxy, FakeCell]) -> None:
    """As lists, of which ours is the last part."""
    _, cell = served
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
    said = (
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n"
        "X-Forwarded-Prefix: /a\r\nForwarded: for=192.0.2.1\r\n"
    )
    async with exported(feed, trusted_proxies=("127.0.0.0/8", "::1/128")) as haproxy:
        seen = await seen_after((haproxy, cell), get("/t/acme/x", extra=said))
    assert seen.values(b"x-forwarded-for") == [b"192.0.2.1", b"127.0.0.1"]
    assert (seen.values(b"x-forwarded-proto"), seen.values(b"x-forwarded-host")) == ([b"https"], [b"h"])
    assert seen.values(b"x-forwarded-prefix") == [b"/a/t/acme"]
    assert seen.values(b"forwarded")[0] == b"for=192.0.2.1"


async def test_a_sound_request_id_is_kept_and_another_one_made(served: tuple[Haproxy, FakeCell]) -> None:
    """The cell and the client get the same."""
    haproxy, cell = served
    for given, kept in (("abc-1", True), ("a b", False), ("x" * 200, False)):
        cell.seen.clear()
        answer = await ask(haproxy, get(extra=f"X-Request-Id: {given}\r\n"))  # type: ignore[arg-type]
        [shown] = answer.values(b"x-request-id")
        assert cell.seen[0].values(b"x-request-id") == [shown]
        assert (shown == given.encode()) is kept
        assert kept or len(shown) == 32


async def test_what_is_not_the_clients_to_know_is_hidden(served: tuple[Haproxy, FakeCell]) -> None:
    """Which software runs, and what routers and cells say to each other."""
    haproxy, cell = served
    cell.answers.append(
        b"HTTP/1.1 200 OK\r\nServer: s/1\r\nX-Powered-By: p\r\nCellway-Epoch: 5\r\nX-Request-Id: mine\r\n"
        b"Keep-Alive: timeout=5\r\nX-Own: kept\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = await ask(haproxy, get())  # type: ignore[arg-type]
    names = {name for name, _ in answer.headers}
    assert names == {b"x-own", b"content-length", b"date", b"x-request-id"}
    assert answer.values(b"x-request-id") != [b"mine"]


async def test_a_request_that_came_round_is_stopped(served: tuple[Haproxy, FakeCell]) -> None:
    """A cell that sends a request back here would do so for ever."""
    haproxy, cell = served
    seen = await seen_after(served, get())
    via = seen.values(b"via")[0].decode()
    cell.seen.clear()
    answer = await ask(haproxy, get(extra=f"Via: 1.0 x, {via}, 1.1 y\r\n"))  # type: ignore[arg-type]
    assert (answer.status, cell.seen) == (508, [])
    assert (await ask(haproxy, get(extra="Via: 1.1 other\r\n"))).status == 200  # type: ignore[arg-type]


async def test_a_cell_that_is_down_is_503_at_once(served: tuple[Haproxy, FakeCell]) -> None:
    """Nothing was sent, so the client may try again, whatever it asked for."""
    _, cell = served
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": "http://127.0.0.1:1"}, {"acme": ("cell-1", 5)}))
    async with exported(feed) as haproxy:
        answer = await haproxy.get(method="POST", extra="Content-Length: 0\r\n")
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
    assert b'"retryable":true' in answer.body
    assert not cell.answers


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_may_have_been_carried_out_is_not_sent_twice(
    served: tuple[Haproxy, FakeCell], method: str
) -> None:
    """The cell took the request and broke off: once is what it saw."""
    haproxy, cell = served
    cell.seen.clear()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    cell.script = script
    try:
        answer = await haproxy.get(method=method, extra="Content-Length: 0\r\n" if method == "POST" else "")
    finally:
        cell.script = None
    assert (answer.status, len(cell.seen)) == (502, 1)
    assert b'"outcome":"unknown"' in answer.body
    assert answer.values(b"retry-after") == ([b"1"] if method == "GET" else [])


async def test_a_websocket_becomes_a_pipe(served: tuple[Haproxy, FakeCell]) -> None:
    """The one upgrade that is passed on."""
    haproxy, cell = served
    cell.seen.clear()

    async def script(_seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
        writer.write(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        writer.write(await reader.readexactly(4))

    cell.script = script
    asked = (
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    try:
        async with connected(haproxy) as client:  # type: ignore[arg-type]
            client.send(get(extra=asked))
            head = await client.reader.readuntil(b"\r\n\r\n")
            client.send(b"ping")
            assert await client.reader.readexactly(4) == b"ping"
    finally:
        cell.script = None
    assert head.startswith(b"HTTP/1.1 101")
    assert cell.seen[0].values(b"connection") == [b"upgrade"]


# --- 421 ---

LATE_SECONDS = 1.2
"""How long a cell thinks before its late 421: more than the second that HAProxy would wait of its own accord."""


@dataclass
class Two:
    """A tenant at cell-1 that may move to cell-2."""

    export: Export
    feed: MemoryFeed
    old: FakeCell
    new: FakeCell


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    """Two cells, and an exporter that follows."""
    async with serving(FakeCell()) as old, serving(FakeCell()) as new:
        feed = MemoryFeed()
        cells = {"cell-1": old.address, "cell-2": new.address}
        await feed.fill(snapshot_of(cells, {"acme": ("cell-1", 5)}))
        async with following(feed) as export:
            yield Two(export, feed, old, new)


@pytest.mark.parametrize("body", ["", "hello", "x" * 10_000])
async def test_a_421_is_healed_by_the_change_that_comes_meanwhile(two: Two, body: str) -> None:
    """The cell knew of the move first: the request, a POST too, reaches the new cell with the new epoch."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MISDIRECTED)
        await move(two.feed, "acme", "cell-2", 6)

    two.old.script = script
    extra = f"Content-Length: {len(body)}\r\nX-Own: 1\r\n"
    data = get(method="POST", extra=extra) + body.encode()
    answer = await ask(two.export.haproxy, data, b"POST")  # type: ignore[arg-type]
    assert (answer.status, answer.body) == (200, b"ok")
    [seen] = two.new.seen
    assert (seen.method, seen.body, seen.target) == (b"POST", body.encode(), b"/v1/things")
    assert (seen.values(b"cellway-epoch"), seen.values(b"cellway-tenant")) == ([b"6"], [b"acme"])
    assert [len(seen.values(name)) for name in (b"via", b"x-forwarded-for", b"x-own")] == [1, 1, 1]
    assert seen.values(b"x-request-id") == answer.values(b"x-request-id")
    assert len(two.old.seen) == 1


async def test_a_late_421_is_healed_too(two: Two) -> None:
    """However long the cell thought about it."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE_SECONDS)
        await move(two.feed, "acme", "cell-2", 6)
        writer.write(MISDIRECTED)

    two.old.script = script
    assert (await two.export.haproxy.get()).status == 200


async def test_a_421_that_stays_is_503_with_the_advice_to_try_again(two: Two) -> None:
    """After one more attempt at the same place: a map may know of an assignment before its cell does."""
    two.old.answers = [MISDIRECTED] * 2
    answer = await two.export.haproxy.get()
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
    assert b"the tenant is being moved" in answer.body
    assert b'"retryable":true' in answer.body
    assert len(two.old.seen) == 2
    assert (await two.export.haproxy.get()).status == 200


async def test_a_421_to_a_large_body_is_503_because_nobody_kept_it(two: Two) -> None:
    """HAProxy keeps what fits into one buffer."""
    two.old.answers = [MISDIRECTED]
    body = b"x" * 200_000
    data = get(method="POST", extra=f"Content-Length: {len(body)}\r\n") + body
    answer = await ask(two.export.haproxy, data, b"POST")  # type: ignore[arg-type]
    assert (answer.status, len(two.old.seen)) == (503, 1)


async def test_a_tenant_that_was_deleted_meanwhile_is_gone(two: Two) -> None:
    """Its cell refused it, and the map says why."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await move(two.feed, "acme", None, 6)
        writer.write(MISDIRECTED)

    two.old.script = script
    answer = await two.export.haproxy.get()
    assert (answer.status, answer.values(b"www-authenticate")) == (401, [b"Bearer"])


@pytest.mark.parametrize("count", [30])
async def test_many_are_healed_at_once(two: Two, count: int) -> None:
    """A busy tenant that moves."""
    moved: list[Any] = []

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MISDIRECTED)
        if len(two.old.seen) == count and not moved:
            moved.append(await move(two.feed, "acme", "cell-2", 6))

    two.old.script = script
    answers = await asyncio.gather(*(two.export.haproxy.get() for _ in range(count)))
    assert {answer.status for answer in answers} == {200}
    assert len(two.new.seen) == count


async def test_without_a_script_a_421_is_503_at_once() -> None:
    """An HAProxy without Lua cannot try again."""
    async with serving(FakeCell(answers=[MISDIRECTED, OK])) as cell:
        feed = MemoryFeed()
        await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
        async with exported(feed, lua=False) as haproxy:
            answer = await haproxy.get()
            assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
            assert (await haproxy.get()).status == 200
