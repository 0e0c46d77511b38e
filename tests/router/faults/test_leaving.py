"""SIGTERM while everything is under way: no request fails, streams and WebSockets end where they may."""

import asyncio
import contextlib
import signal
from itertools import cycle
from pathlib import Path

import pytest

from directory.memory_feed import MemoryFeed
from tests.router.faults.cells import EVENTS, chunk
from tests.router.faults.frames import BINARY, CLOSE, frame, read_frame
from tests.router.faults.programs import Program, started
from tests.router.upstreams import OK, FakeCell, Seen, connected, get, running
from tests.waiting import eventually

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
HANDSHAKE = get(
    "/socket",
    extra="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
)
RESTART = (1012).to_bytes(2)
PIECES = cycle([1, 7, 300, 2, 1500, 64, 3])
BREATH_SECONDS = 0.001
"""What whoever talks on and on rests between two pieces: it is a talk, and no flood."""
LOOPS, IDLE = 16, 5
"""Clients that ask again and again, and that asked once and stay."""


class Busy:
    """A cell that answers, sends events in pieces, and talks over WebSockets in pieces."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        """The Close frames that came over its WebSockets."""
        self.received = 0

    async def script(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.target == b"/events":
            writer.write(EVENTS)
            await self._flow(writer, b"".join(b"data: %d\n\n" % number for number in range(200)), chunked=True)
        elif seen.target == b"/socket":
            writer.write(SWITCHED)
            closing = asyncio.Event()
            talking = asyncio.ensure_future(self._talk(writer, closing))
            await self._listen(reader)
            closing.set()
            await asyncio.gather(talking, return_exceptions=True)
            writer.close()
        elif seen.target == b"/hang":
            await asyncio.Event().wait()
        else:
            writer.write(OK)

    async def _talk(self, writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
        said = b"".join(frame(BINARY, bytes(size)) for size in (5, 200, 3000, 0, 125, 126))
        await self._flow(writer, said, chunked=False, until=closing)
        writer.write(frame(CLOSE, RESTART))

    async def _flow(
        self, writer: asyncio.StreamWriter, said: bytes, *, chunked: bool, until: asyncio.Event | None = None
    ) -> None:
        """Over and over, cut where nobody expects it."""
        at = 0
        while at or until is None or not until.is_set():
            piece = said[at : at + next(PIECES)]
            at = (at + len(piece)) % len(said)
            writer.write(chunk(piece) if chunked else piece)
            await writer.drain()
            await asyncio.sleep(BREATH_SECONDS)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        kind = BINARY
        while kind != CLOSE:
            kind, payload = await read_frame(reader)
            self.received += 1
        self.told.append(payload)


class Crowd:
    """Clients of all kinds, and what became of them."""

    def __init__(self, router: Program) -> None:
        self._router = router
        self.answered = self.streams = self.sockets = 0
        self.told_so = 0
        """Loops that ended because an answer said that the connection does."""
        self.closed = 0
        """Idle connections that ended."""

    async def loop(self, request: bytes, method: bytes) -> None:
        """Ask again and again, until told that this connection ends."""
        async with connected(self._router) as client:  # type: ignore[arg-type]
            while True:
                client.send(request)
                answer = await client.answer(method)
                assert (answer.status, answer.complete) == (200, True), answer
                self.answered += 1
                if answer.values(b"connection") == [b"close"]:
                    self.told_so += 1
                    assert await client.reader.read() == b""
                    return

    async def late_upload(self) -> None:
        """One request whose body goes on when all loops and all idle connections have ended."""
        async with connected(self._router) as client:  # type: ignore[arg-type]
            client.send(get(method="POST", extra="Content-Length: 60\r\n"))
            client.send(bytes(20))
            await eventually(lambda: (self.told_so, self.closed) == (LOOPS, IDLE))
            for _ in range(40):
                client.send(b"x")
                await asyncio.sleep(0)
            answer = await client.answer(b"POST")
            assert (answer.status, answer.complete) == (200, True)

    async def idle(self) -> None:
        """Its connection is closed in peace, as soon as it may."""
        async with connected(self._router) as client:  # type: ignore[arg-type]
            client.send(get())
            assert (await client.answer()).status == 200
            assert await client.reader.read() == b""
            self.closed += 1

    async def events(self) -> None:
        """Whole to its last chunk, which is the end of an event."""
        async with connected(self._router) as client:  # type: ignore[arg-type]
            client.send(get("/events"))
            self.streams += 1
            answer = await client.answer(seconds=20.0)
            assert (answer.status, answer.complete) == (200, True)
            assert answer.body.endswith(b"\n\n")

    async def socket(self) -> None:
        """Whole frames up to a Close frame that says why; nothing after it."""
        async with connected(self._router) as client:  # type: ignore[arg-type]
            client.send(HANDSHAKE)
            assert b" 101 " in await client.reader.readuntil(b"\r\n\r\n")
            self.sockets += 1
            closing = asyncio.Event()
            talking = asyncio.ensure_future(self._talk(client.writer, closing))
            kind = BINARY
            while kind != CLOSE:
                kind, payload = await asyncio.wait_for(read_frame(client.reader), 10.0)
            assert payload == RESTART
            closing.set()
            await asyncio.gather(talking, return_exceptions=True)
            with contextlib.suppress(ConnectionError):
                assert await client.reader.read() == b""

    async def _talk(self, writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
        said = frame(BINARY, bytes(50), masked=True) + frame(BINARY, bytes(2000), masked=True)
        while not closing.is_set():
            for start in range(0, len(said), 333):
                writer.write(said[start : start + 333])
                await asyncio.sleep(BREATH_SECONDS)
        writer.write(frame(CLOSE, RESTART, masked=True))


async def test_a_router_that_is_told_to_leave_fails_nobody(
    redis_url: str, cell: FakeCell, project_root: Path
) -> None:
    """Loops are told, uploads finish, idle connections close, events end whole, WebSockets hear 1012."""
    busy = Busy()
    cell.script = busy.script
    post = get(method="POST", extra="Content-Length: 4\r\n") + b"body"
    async with started(redis_url, project_root, cell, drain_seconds=8) as router:
        crowd = Crowd(router)
        async with asyncio.timeout(40), asyncio.TaskGroup() as group:
            for number in range(LOOPS):
                group.create_task(crowd.loop(*((post, b"POST") if number % 2 else (get(), b"GET"))))
            for _ in range(5):
                group.create_task(crowd.events())
                group.create_task(crowd.socket())
            for _ in range(IDLE):
                group.create_task(crowd.idle())
            await eventually(lambda: crowd.answered > 300 and crowd.streams == crowd.sockets == 5)
            await eventually(lambda: busy.received > 20)
            group.create_task(crowd.late_upload())
            seen = len(cell.seen)
            await eventually(lambda: len(cell.seen) > seen + 20)
            router.process.send_signal(signal.SIGTERM)
        assert crowd.told_so == LOOPS
        assert await asyncio.wait_for(router.process.wait(), 10.0) == 0
        assert busy.told == [RESTART] * 5


async def test_a_router_leaves_by_its_deadline_whoever_would_stay(
    redis_url: str, cell: FakeCell, project_root: Path
) -> None:
    """A cell that never answers, a body that never comes, a WebSocket whose sides ignore the Close frame."""
    cell.script = Busy().script
    half_a_body = get(method="POST", extra="Content-Length: 10\r\n") + b"half"
    async with (
        started(redis_url, project_root, cell, drain_seconds=1.5) as router,
        contextlib.AsyncExitStack() as stack,
    ):
        stubborn = [await stack.enter_async_context(connected(router)) for _ in range(4)]  # type: ignore[arg-type]
        for client, said in zip(stubborn, (get("/hang"), half_a_body, HANDSHAKE, b"GET / HT"), strict=True):
            client.send(said)
        await eventually(lambda: len(cell.seen) == 2)
        router.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(router.process.wait(), 10.0) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_router_without_clients_leaves_at_once(
    redis_url: str, cell: FakeCell, project_root: Path, number: signal.Signals
) -> None:
    """The deadline is for whoever is there."""
    async with started(redis_url, project_root, cell, drain_seconds=60) as router:
        router.process.send_signal(number)
        assert await asyncio.wait_for(router.process.wait(), 15.0) == 0


async def test_a_router_waits_for_a_last_request_only_while_somebody_could_send_it(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Whoever has nobody connected has left within a few turns of its loop."""
    async with running(feed) as router, connected(router) as client:
        client.send(get())
        assert (await client.answer()).status == 200
        draining = asyncio.ensure_future(router.site.drain())
        await turns()
        assert not draining.done()
        client.close()
        await eventually(lambda: not router.lane.clients)
        await turns()
        assert draining.done()


async def turns() -> None:
    """Of the event loop, a few."""
    for _ in range(10):
        await asyncio.sleep(0)
