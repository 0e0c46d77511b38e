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

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from router import metrics
from router.errors import malformed
from router.rules.head import Header
from router.rules.headers import connection, response_bytes
from router.rules.strict import LARGEST_HEAD_BYTES
from runtime.api.problem import ApiError

LARGEST_LINE_BYTES = 16_384
MOST_HEADERS = 128
LAST_CHUNK = b"\r\n0\r\n\r\n"
"""How a chunked body without trailers ends, with the end of the line before."""
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

    __slots__ = (
        "_body", "_broken", "_chunked", "_end_deadline", "_head_bytes", "_head_deadline", "_last", "_patience",
        "_server", "_turned_away", "_wire", "unclear",
    )  # fmt: skip

    def __init__(self, server: "Server", patience: Patience, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server, self._patience = server, patience
        self._turned_away = False
        self._wire: asyncio.Transport | None = None
        self._body: StreamReader = EMPTY_PAYLOAD
        """Of the last head that came."""
        self._chunked = False
        """Whether that body is chunked and not known to have ended."""
        self.unclear = False
        """Whether trailers came, perhaps: the parser takes the last of them for the next request's (`_follow`)."""
        self._broken = False
        """Whether what comes is read no more."""
        self._head_bytes = 0
        """What came of a head that is not whole yet."""
        self._last = b""
        """The last bytes that came."""
        self._head_deadline: asyncio.TimerHandle | None = None
        self._end_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast(asyncio.Transport, transport)
        if self._server.full:
            self._broken = self._turned_away = True
            _turn_away(wire)
            return
        self._wire = wire
        super().connection_made(transport)
        metrics.CLIENT_CONNECTIONS.inc()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._turned_away:
            return
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
        if self._broken or self._force_close or self._close:
            return
        within_body = not self._body.is_eof()
        known = self._request_count
        super().data_received(data)
        self._last = (self._last + data[-len(LAST_CHUNK) :])[-len(LAST_CHUNK) :]
        came = self._request_count - known
        self._follow(came)
        if came:
            self._head_came()
        if not (self._broken or self._upgraded or self._held):
            self._count_head(data, ended=bool(came) or within_body)

    @property
    def _held(self) -> bool:
        """Whether the client is kept from sending, or what it sent from being parsed."""
        return self._buffer_paused or self._reading_paused

    def _follow(self, came: int) -> None:
        """Know what the last body is, and how it ended. `came`: how many heads (or errors) did just now."""
        for message, body in list(self._messages)[-came:] if came else ():
            if isinstance(message, _ErrInfo):
                self._break_off()
                return
            self.unclear |= self._chunked  # something follows a chunked body, and where that ended is not known
            self._body, self._chunked = body, message.chunked
        if self._chunked and self._body.is_eof():
            self._chunked = False
            # Whatever else it ends with may be trailers. The parser does not show them, but keeps the last one
            # and would show it as the first header of the next request, which may be somebody else's.
            self.unclear |= not self._last.endswith(LAST_CHUNK)

    def _break_off(self) -> None:
        """What came cannot be read: who waits for the rest of a body must know; the parser tells nobody."""
        self._broken = True
        if not self._body.is_eof():
            self._body.set_exception(RequestPayloadError("the body's framing is malformed"))
            self._body.feed_eof()

    def _count_head(self, data: bytes, *, ended: bool) -> None:
        """Count what came of a head that is not whole: it must be soon, and not too large."""
        if not self._body.is_eof():
            return
        if not ended:
            # An empty line before a head is not its beginning (RFC 9112 section 2.2).
            self._head_bytes += len(data) if self._head_bytes or data.strip(b"\r\n") else 0
        elif self._body is EMPTY_PAYLOAD and not self._last.endswith(b"\r\n\r\n"):
            self._head_bytes = 1  # at least: the last whole head is followed by another's beginning
        if self._head_bytes > LARGEST_HEAD_BYTES:
            self._refuse_head(HeadRefused("the request's head is too large", 431, "head_large"))
        elif self._head_bytes and self._head_deadline is None:
            self._await_head()

    def _await_head(self) -> None:
        # From its first byte on, however slowly it trickles.
        self._head_deadline = self._loop.call_later(self._patience.head_seconds, self._head_late)

    def _head_came(self) -> None:
        self._head_bytes = 0
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_late(self) -> None:
        self._head_deadline = None
        if self._held:
            self._await_head()  # it could not send
        else:
            self._refuse_head(HeadRefused("the request's head did not come in time", 408, "head_late"))

    def _refuse_head(self, refused: "HeadRefused") -> None:
        """Answer so in its turn: requests before it may still be under way."""
        self._head_came()
        self._broken = True
        self._messages.append((_ErrInfo(refused.error.status, refused, ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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
        refused = _head_refused(exc)
        error = refused.error
        metrics.REFUSALS.labels(str(error.status), refused.reason).inc()
        if self.transport is not None:
            self.transport.write(problem_bytes(error, (1, 1), keep_alive=False)[0])
        return Sent(error.status, keep_alive=False)


def _turn_away(wire: asyncio.Transport) -> None:
    metrics.CLIENTS_REFUSED.inc()
    full = ApiError("UNAVAILABLE", "too many clients are connected")
    wire.write(problem_bytes(full, (1, 1), keep_alive=False)[0])
    wire.close()


class HeadRefused(Exception):
    """A head that is not answered by a handler. `reason` is for the metrics."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.error, self.reason = malformed(message, status=status), reason


def _head_refused(error: BaseException | None) -> HeadRefused:
    if isinstance(error, HeadRefused):
        return error
    if isinstance(error, LineTooLong):
        return HeadRefused("the request's head is too large", 431, "unparsable")
    return HeadRefused("this is not HTTP/1.1 as it must be", 400, "unparsable")


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
        self.most_connections: int | None = None

    @property
    def full(self) -> bool:
        """Whether one more client could take the files that connections to cells need."""
        return self.most_connections is not None and len(self._connections) >= self.most_connections

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
