"""The public side: aiohttp's HTTP server, with our own answers to what it cannot parse and our own bytes out.

aiohttp reads requests with a strict parser (llhttp) and keeps connections; responses are written as bytes, because
its response objects know headers as text and add some of their own.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from router import metrics
from router.errors import malformed
from router.rules.head import Header
from router.rules.headers import connection, response_bytes
from runtime.api.problem import ApiError

LARGEST_LINE_BYTES = 16_384
MOST_HEADERS = 128
LINGER_SECONDS = 2.0
"""How long an answered client may go on sending its body before the connection is closed."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Sent(web.StreamResponse):
    """Tells aiohttp that the response was written, and whether the connection goes on."""

    def __init__(self, status: int, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._goes_on = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._goes_on

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines of a client's connection."""

    head_seconds: float
    write_idle_seconds: float


class ClientConnection(RequestHandler):
    """One client's connection: deadlines for heads, problem+json for what is not HTTP."""

    __slots__ = ("_end_deadline", "_head_deadline", "_patience", "_wire")

    def __init__(self, server: "Server", patience: Patience, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._patience = patience
        self._wire: asyncio.Transport | None = None
        self._head_deadline: asyncio.TimerHandle | None = None
        self._end_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        super().connection_made(transport)
        metrics.CLIENT_CONNECTIONS.inc()

    def connection_lost(self, exc: BaseException | None) -> None:
        metrics.CLIENT_CONNECTIONS.dec()
        self._wire = None
        self._head_came()
        if self._end_deadline is not None:
            self._end_deadline.cancel()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Answer requests until the connection is to end."""
        try:
            await super().start()
        finally:
            if self._wire is not None:
                # Closing waits for the client to take what it was sent, which it may never do.
                self._end_deadline = self._loop.call_later(self._patience.write_idle_seconds, cut_off, self._wire)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages or self._request_in_progress:
            self._head_came()
        elif data and self._head_deadline is None:
            # The first byte of a head: the rest must follow soon, however slowly it trickles.
            self._head_deadline = self._loop.call_later(self._patience.head_seconds, self._head_late)

    def _head_came(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_late(self) -> None:
        self._head_deadline = None
        if self.transport is not None and not self._messages and not self._request_in_progress:
            late = malformed("the request's head did not come in time", status=408)
            self.transport.write(problem_bytes(late, (1, 1), keep_alive=False)[0])
            metrics.REFUSALS.labels("408", "head_late").inc()
            self.force_close()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._messages and not self._request_in_progress

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        too_long = isinstance(exc, LineTooLong)
        reason = "the request's head is too large" if too_long else "this is not HTTP/1.1 as it must be"
        error = malformed(reason, status=431 if too_long else 400)
        metrics.REFUSALS.labels(str(error.status), "unparsable").inc()
        if self.transport is not None:
            self.transport.write(problem_bytes(error, (1, 1), keep_alive=False)[0])
        return Sent(error.status, keep_alive=False)


class Server(web.Server):
    """Makes a `ClientConnection` for everybody who connects."""

    def __init__(
        self, handle: Handle, *, head_seconds: float, idle_seconds: float, write_idle_seconds: float
    ) -> None:
        super().__init__(self._handled, handler_cancellation=True)
        self._handle = handle
        self._patience, self._idle_seconds = Patience(head_seconds, write_idle_seconds), idle_seconds
        self._settled = asyncio.Event()
        self.draining = False

    def __call__(self) -> RequestHandler:
        return ClientConnection(
            self,
            self._patience,
            keepalive_timeout=self._idle_seconds,
            max_line_size=LARGEST_LINE_BYTES,
            max_field_size=LARGEST_LINE_BYTES,
            max_headers=MOST_HEADERS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
            access_log=None,
        )

    async def drain(self) -> None:
        """Close idle connections, and wait until every request that came has been answered."""
        self.draining = True
        while self._let_idle_go():
            self._settled.clear()
            await self._settled.wait()

    def _let_idle_go(self) -> int:
        """How many are still busy."""
        busy = 0
        for client in self.connections:
            if isinstance(client, ClientConnection) and client.idle:
                client.force_close()
            else:
                busy += 1
        return busy

    async def _handled(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handle(request)
        finally:
            # Soon, because aiohttp counts the request as under way until this returns.
            asyncio.get_running_loop().call_soon(self._settled.set)


def problem_bytes(
    error: ApiError, version: tuple[int, int], *, keep_alive: bool, ident: bytes = b"", empty: bool = False
) -> tuple[bytes, int]:
    """An error of the router's own as bytes of a response, and its status. `empty` for the answer to HEAD."""
    body = error.body()
    # In the order that a cell's problem has once it was passed on: who answered is not to be seen.
    headers: list[Header] = [(name.encode(), value.encode()) for name, value in error.shown_headers().items()]
    headers.append((b"Date", formatdate(usegmt=True).encode()))
    if ident:
        headers.append((b"X-Request-Id", ident))
    headers.append((b"Content-Length", b"%d" % len(body)))
    title = error.problem().title.encode()
    head = response_bytes(error.status, title, [*headers, *connection(version, keep_alive)])
    return (head if empty else head + body), error.status


def cut_off(transport: asyncio.Transport | None) -> None:
    """End a connection so that the other side cannot take what it has for the whole: with a reset."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
