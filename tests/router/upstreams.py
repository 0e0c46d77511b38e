"""Cells made of raw sockets, and a router in this process: what tests of forwarding are made of."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import h11

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change, Snapshot, TenantEntry
from router.app import Router
from router.rules.overload import Lag
from router.settings import RouterSettings

KEY = "ck_acme_" + "k" * 43
IDENTITY = "directory-1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RawScript = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Script = Callable[["Seen", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """One request as a cell saw it, parsed by h11, which is as strict as can be."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    raw: bytes
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        return [value for given, value in self.headers if given == name]


@dataclass
class FakeCell:
    """Answers each request by `script` (or what `answers` holds, in turn), and remembers what it saw.

    `raw` takes over after a head instead. Probes are always answered.
    """

    script: Script | None = None
    raw: RawScript | None = None
    answers: list[bytes] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    probes: int = 0
    open: dict[asyncio.StreamWriter, "asyncio.Task[None] | None"] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open[writer] = asyncio.current_task()
        try:
            if self.raw is not None:
                await self._serve_raw(self.raw, reader, writer)
                return
            while (seen := await read_request(reader)) is not None:
                if seen.target == b"/health/live":
                    self.probes += 1
                    writer.write(OK)
                    continue
                self.seen.append(seen)
                if self.script is not None:
                    await self.script(seen, reader, writer)
                else:
                    writer.write(self.answers.pop(0) if self.answers else OK)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.aborted.set()
        finally:
            writer.close()
            self.open.pop(writer, None)

    async def _serve_raw(self, raw: RawScript, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /health/live "):
            self.probes += 1
            writer.write(OK)
            await writer.drain()
        else:
            await raw(reader, writer)


async def read_head(reader: asyncio.StreamReader) -> tuple[h11.Connection, h11.Request, bytes] | None:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(raw)
    request = parser.next_event()
    assert isinstance(request, h11.Request)
    return parser, request, raw


async def read_request(reader: asyncio.StreamReader) -> Seen | None:
    """The next request with its body, None at the end of the connection."""
    came = await read_head(reader)
    if came is None:
        return None
    parser, request, raw = came
    body = b""
    while not isinstance(event := parser.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data:
                raise asyncio.IncompleteReadError(b"", None)
            parser.receive_data(data)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
    return Seen(request.method, request.target, list(request.headers), raw, body)


@contextlib.asynccontextmanager
async def serving(cell: FakeCell) -> AsyncIterator[FakeCell]:
    """The cell on a port of its own."""
    server = await asyncio.start_server(cell.serve, "127.0.0.1", 0, limit=2**20)
    cell.port = server.sockets[0].getsockname()[1]
    try:
        yield cell
    finally:
        server.close()
        left = dict(cell.open)
        for writer, task in left.items():
            writer.transport.abort()
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in left.values() if task is not None), return_exceptions=True)


def snapshot_of(cells: dict[str, str], tenants: dict[str, tuple[str, int]], seq: int = 10) -> Snapshot:
    """cells: name → address; tenants: name → (cell, epoch)."""
    return Snapshot(
        IDENTITY,
        seq,
        {name: CellEntry(name, "open", address) for name, address in cells.items()},
        {name: TenantEntry(name, cell, epoch) for name, (cell, epoch) in tenants.items()},
    )


async def move(feed: MemoryFeed, tenant: str, cell: str | None, epoch: int) -> None:
    """Publish the next change."""
    last = await feed.published(IDENTITY)
    await feed.publish(IDENTITY, [Change((last or 0) + 1, TenantEntry(tenant, cell, epoch))])


def settings(**values: Any) -> RouterSettings:
    usual = {"port": 0, "admin_port": 0, "directory_redis_url": "redis://127.0.0.1:1/0", "drain_seconds": 5.0}
    return RouterSettings.model_validate({**usual, **values})


class NeverLate(Lag):
    """The loop of tests stands still between them, and whenever the machine is busy: that is no overload."""

    def beat(self, late_seconds: float, now: float) -> None:
        return None


@contextlib.asynccontextmanager
async def running(feed: Any, **values: Any) -> AsyncIterator[Router]:
    """A router in this process, which sheds nothing unless it is given a `Lag` that would."""
    router = Router(settings(**values), feed)
    router.lane._lag = NeverLate()
    lifecycle = router.lifecycle()
    await lifecycle.start()
    try:
        yield router
    finally:
        await lifecycle.stop()


@dataclass
class Answer:
    """A response as a strict client sees it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    complete: bool
    raw: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for given, value in self.headers if given == name]


class Client:
    """A connection to the router, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, method: bytes = b"GET", seconds: float = 30.0) -> Answer:
        """The next response; `complete` is False when it broke off."""
        async with asyncio.timeout(seconds):
            return await self._answer(method)

    async def _answer(self, method: bytes) -> Answer:
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        found = Answer(0, [], b"", False, b"")
        if self._rest:
            parser.receive_data(self._rest)
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                return found
            if event is h11.NEED_DATA:
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    return found
                found.raw += data
                parser.receive_data(data)
            elif isinstance(event, h11.Response):
                found.status, found.headers = event.status_code, list(event.headers)
            elif isinstance(event, h11.Data):
                found.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.complete = True
                self._rest = parser.trailing_data[0]
                return found

    async def closed(self, seconds: float = 8.0) -> bool:
        """Whether the router closes the connection, whatever comes before."""
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
            return True

    def close(self) -> None:
        self.writer.close()


@contextlib.asynccontextmanager
async def connected(router: Router, *, receive_bytes: int | None = None) -> AsyncIterator[Client]:
    """A client's connection. `receive_bytes` makes its kernel take no more than that ahead."""
    raw = socket.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", router.site.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=receive_bytes or 65536)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()
        with contextlib.suppress(ConnectionError):
            await client.writer.wait_closed()


def get(target: str = "/v1/things", *, method: str = "GET", extra: str = "", key: str | None = KEY) -> bytes:
    """A plain request of tenant acme."""
    credential = f"Authorization: Bearer {key}\r\n" if key else ""
    return f"{method} {target} HTTP/1.1\r\nHost: acme.api.localhost\r\n{credential}{extra}\r\n".encode()


async def ask(router: Router, data: bytes, method: bytes = b"GET") -> Answer:
    """One request on a connection of its own."""
    async with connected(router) as client:
        client.send(data)
        return await client.answer(method)
