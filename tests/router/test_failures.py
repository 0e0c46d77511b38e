"""What a client sees when its cell fails before, during and after an answer; and when its tenant moves."""

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change
from router.app import Router
from tests.router.upstreams import (
    IDENTITY,
    OK,
    Answer,
    FakeCell,
    Seen,
    ask,
    connected,
    get,
    move,
    running,
    serving,
    snapshot_of,
)
from tests.router.websockets.wires import End, unread, writes_until_lost
from tests.waiting import eventually

NOT_OURS = b"HTTP/1.1 421 Misdirected Request\r\nCellway-Epoch: 9\r\nContent-Length: 3\r\n\r\nno!"


def problem(answer: Answer) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.body)
    return found


def post(body: bytes, *, extra: str = "", chunked: bool = False) -> bytes:
    framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(body)}\r\n"
    pieces = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return get(method="POST", extra=framing + extra) + (pieces + b"0\r\n\r\n" if chunked else body)


# --- broken answers ---


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ],
)
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_truncated_response_never_looks_complete(
    router: Router, cell: FakeCell, answer: bytes, version: bytes
) -> None:
    """The client sees an aborted transfer, or an error; whatever the version."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    cell.script = script
    async with connected(router) as client:
        client.send(get().replace(b"HTTP/1.1", version))
        found = await client.answer()
        assert found.status == 502 or not found.complete
        assert b"cellway-tenant" not in found.raw.lower()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        OK + OK,
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\r\n\r\nnonsense",
    ],
)
async def test_what_is_not_http_as_it_must_be_is_a_502(router: Router, cell: FakeCell, answer: bytes) -> None:
    """And that connection to the cell is never used again."""
    cell.answers = [answer]
    async with connected(router) as client:
        client.send(get())
        found = await client.answer()
        assert found.status == 502
        assert problem(found)["retryable"] is True
        client.send(get())
        assert (await client.answer()).status == 200
    assert cell.connections == 2


async def test_a_cell_that_closes_without_an_answer_leaves_the_outcome_unknown(
    router: Router, cell: FakeCell
) -> None:
    """A POST may have happened, so the client is not told to send it again; with an Idempotency-Key it is."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    cell.script = script
    plain = await ask(router, post(b"x"))
    keyed = await ask(router, post(b"x", extra="Idempotency-Key: a\r\n"))
    assert (plain.status, problem(plain)["retryable"]) == (502, False)
    assert (keyed.status, problem(keyed)["retryable"]) == (502, True)
    assert problem(plain)["metadata"] == {"outcome": "unknown"}
    assert len(cell.seen) == 2


@pytest.mark.parametrize(("request_bytes", "times"), [(post(b"x"), 1), (get(method="POST"), 1), (get(), 2)])
async def test_nothing_but_idempotent_requests_is_sent_twice_on_stale_connections(
    router: Router, cell: FakeCell, request_bytes: bytes, times: int
) -> None:
    """A cell that closes a kept connection under a POST may have carried it out."""
    answered = 0

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        if answered == 2:
            writer.transport.abort()
        else:
            writer.write(OK)

    cell.script = script
    assert (await ask(router, get("/first"))).status == 200
    found = await ask(router, request_bytes)
    assert found.status == (200 if times == 2 else 502)
    assert len(cell.seen) == 1 + times


async def test_a_connection_that_a_cell_closed_in_time_is_not_used(router: Router, cell: FakeCell) -> None:
    """A POST after an idle time simply takes a new one."""
    cell.answers = [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]
    await ask(router, get())
    assert (await ask(router, post(b"x"))).status == 200
    for writer in list(cell.open):
        writer.close()
    await eventually(lambda: router.cells.pool("cell-1").open == 0)
    assert (await ask(router, post(b"y"))).status == 200
    assert cell.connections == 3


async def test_a_cell_that_refuses_connections_is_told_at_once(feed: MemoryFeed, router: Router) -> None:
    """Nothing was sent, so the same request may come again, whatever it is."""
    async with serving(FakeCell()) as gone:
        address = gone.address
    await feed.publish(IDENTITY, [Change(11, CellEntry("cell-1", "failed", address))])
    await eventually(lambda: router.table.seq == 11)
    found = await ask(router, post(b"x"))
    assert (found.status, problem(found)["retryable"], problem(found)["metadata"]) == (503, True, {})
    assert found.values(b"retry-after") == [b"1"]


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254", "http://0.0.0.0:80", "http://224.0.0.1", "nonsense"]
)
async def test_an_address_that_must_not_be_connected_to_is_not(
    feed: MemoryFeed, router: Router, address: str
) -> None:
    """Whatever the directory says."""
    await feed.publish(IDENTITY, [Change(11, CellEntry("cell-1", "open", address))])
    await eventually(lambda: router.table.seq == 11)
    assert (await ask(router, get())).status == 503


async def test_a_cell_that_answers_too_late_is_a_504(feed: MemoryFeed, cell: FakeCell) -> None:
    """The deadline for its head; probes are answered, so it is not taken for stopped."""

    async def script(_seen: Seen, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    cell.script = script
    async with running(feed, response_seconds=0.5, probe_seconds=0.05, stopped_seconds=0.45) as router:
        await eventually(lambda: len(router.table))
        found = await ask(router, get())
        assert found.status == 504
        assert router.cells.pool("cell-1").state == "answers"
    assert cell.probes > 0


async def test_connections_to_a_cell_are_bounded_and_so_is_the_wait(feed: MemoryFeed, cell: FakeCell) -> None:
    """Whoever gets none in time is told so; nothing was sent."""
    held = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.write(OK)

    cell.script = script
    async with running(feed, cell_connections=2, tenant_connections=2, cell_wait_seconds=0.2) as router:
        await eventually(lambda: len(router.table))
        first, second = (asyncio.ensure_future(ask(router, get())) for _ in range(2))
        await eventually(lambda: len(cell.seen) == 2)
        found = await ask(router, post(b"x"))
        assert (found.status, problem(found)["retryable"]) == (503, True)
        waiting = asyncio.ensure_future(ask(router, get()))
        await eventually(lambda: router.cells.pool("cell-1").waiting == 3)
        held.set()
        assert [(await each).status for each in (first, second, waiting)] == [200, 200, 200]
        assert router.cells.pool("cell-1").open == 2


async def test_an_early_answer_to_a_large_body_is_passed_on(router: Router, cell: FakeCell) -> None:
    """413 before the body's end: the client hears it, and the connection ends."""

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
        await reader.read()

    cell.raw = raw
    async with connected(router) as client:
        client.send(get(method="POST", extra="Content-Length: 10000000\r\n") + bytes(100_000))
        answer = await client.answer(b"POST")
        assert (answer.status, answer.body) == (413, b"large")
        assert answer.values(b"connection") == [b"close"]


async def test_an_early_answer_is_passed_on_though_a_write_fails_first(router: Router, cell: FakeCell) -> None:
    """A cell that closes without reading the body answers what comes on with a reset, behind its 413."""
    paused, closed = asyncio.Event(), asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast(asyncio.Transport, writer.transport).pause_reading()
        paused.set()
        await unread(End(reader, writer))
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
        writer.close()
        closed.set()

    cell.raw = raw
    async with connected(router) as client:
        client.send(get(method="POST", extra="Content-Length: 10000000\r\n") + bytes(1000))
        await eventually(lambda: any(each.passage and each.passage._connection for each in router.lane.clients))
        [passage] = [each.passage for each in router.lane.clients if each.passage is not None]
        connection = passage._connection
        assert connection is not None
        assert connection._transport is not None
        connection._transport.pause_reading()  # as when the write's turn comes first
        async with asyncio.timeout(10.0):
            await paused.wait()
            client.send(bytes(1000))
            await closed.wait()
        await writes_until_lost(End(client.reader, client.writer), bytes(100), connection)
        answer = await client.answer(b"POST")
        assert (answer.status, answer.body) == (413, b"large")
        assert answer.values(b"connection") == [b"close"]
    await eventually(lambda: not router.cells.pool("cell-1").open)


# --- moves ---


class SlowStream(MemoryFeed):
    """A cache whose stream stands still until told otherwise, while look-ups see what is new."""

    def __init__(self) -> None:
        super().__init__()
        self.flows = asyncio.Event()

    async def changes(self, identity: str, after: int, wait_seconds: float) -> Sequence[Change]:
        await self.flows.wait()
        return await super().changes(identity, after, wait_seconds)


async def two_cells(feed: MemoryFeed, old: FakeCell, new: FakeCell) -> None:
    await feed.fill(snapshot_of({"old": old.address, "new": new.address}, {"acme": ("old", 5)}))


@pytest.mark.parametrize("body", [b"", b"small", bytes(60_000)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_tenant_that_moved_is_found_without_the_client_noticing(
    cell: FakeCell, body: bytes, chunked: bool
) -> None:
    """421 was said before any effect: refresh, and send once more, also a POST."""
    feed = SlowStream()
    cell.answers = [NOT_OURS]
    async with serving(FakeCell()) as new:
        await two_cells(feed, cell, new)
        async with running(feed) as router:
            await eventually(lambda: len(router.table))
            await move(feed, "acme", "new", 9)
            found = await ask(router, post(body, chunked=chunked))
            assert (found.status, found.body) == (200, b"ok")
            assert [seen.body for seen in new.seen] == [body]
            assert new.seen[0].values(b"cellway-epoch") == [b"9"]
            entry = router.table.find("acme")
            assert entry is not None
            assert (entry.cell_id, entry.epoch) == ("new", 9)


async def test_a_request_waits_for_an_assignment_that_is_about_to_come(cell: FakeCell) -> None:
    """The cell knows of the move a moment before the directory's cache does."""
    feed = MemoryFeed()
    async with serving(FakeCell()) as new:
        await two_cells(feed, cell, new)

        async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(NOT_OURS)

        cell.script = script
        async with running(feed, refresh_seconds=5.0) as router:
            await eventually(lambda: len(router.table))
            waiting = asyncio.ensure_future(ask(router, post(b"x")))
            await eventually(lambda: router.table._newer)
            await move(feed, "acme", "new", 9)
            assert (await waiting).status == 200
        assert len(new.seen) == 1
        assert len(cell.seen) == 1


async def test_a_cell_that_did_not_know_its_tenant_yet_is_asked_once_more(router: Router, cell: FakeCell) -> None:
    """A tenant that was created this moment: the router was told before the cell."""
    cell.answers = [NOT_OURS.replace(b"9", b"0")]
    assert (await ask(router, get())).status == 200
    assert len(cell.seen) == 2


async def test_a_stale_connection_is_no_reason_not_to_ask_such_a_cell_once_more(
    router: Router, cell: FakeCell
) -> None:
    """Nobody had said anything about where the tenant lives when the connection turned out to be closed."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(cell.seen) == 2:
            writer.close()
        else:
            writer.write(NOT_OURS.replace(b"9", b"0") if len(cell.seen) == 3 else OK)

    cell.script = script
    assert (await ask(router, get("/first"))).status == 200
    assert (await ask(router, get("/second"))).status == 200
    assert [seen.target for seen in cell.seen] == [b"/first", *[b"/second"] * 3]
    assert cell.connections == 2


@pytest.mark.parametrize("epoch", [b"", b"Cellway-Epoch: 0\r\n", b"Cellway-Epoch: 9\r\n"])
async def test_a_tenant_that_is_nowhere_is_a_retryable_503(feed: MemoryFeed, cell: FakeCell, epoch: bytes) -> None:
    """Two attempts, whatever the cell knows, and never a 421 for the client: it could do nothing with it."""
    cell.answers = [b"HTTP/1.1 421 Misdirected Request\r\n%bContent-Length: 0\r\n\r\n" % epoch] * 2
    async with running(feed, refresh_seconds=0.2, hold_seconds=0.4) as router:
        await eventually(lambda: len(router.table))
        found = await ask(router, post(b"x"))
    assert (found.status, problem(found)["retryable"]) == (503, True)
    assert found.values(b"retry-after") == [b"1"]
    assert len(cell.seen) == 2


async def test_a_body_too_large_to_keep_is_not_sent_twice(feed: MemoryFeed, cell: FakeCell) -> None:
    """The client can send it again: nothing happened."""
    cell.answers = [NOT_OURS]
    async with running(feed, replay_bytes=1000) as router:
        await eventually(lambda: len(router.table))
        found = await ask(router, post(bytes(2000)))
    assert (found.status, problem(found)["retryable"]) == (503, True)
    assert problem(found)["metadata"] == {}
    assert len(cell.seen) == 1
