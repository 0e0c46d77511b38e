"""One request on its way, and what the client is told: an answer passed on, a refusal, or a cut.

Once bytes of a final response were written, only a cut tells of a failure: what a client has must never look whole
when it is not.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from router import metrics
from router.bodies import RequestBody
from router.errors import RouterError, TransferBroken
from router.rules import headers, strict
from router.rules.head import Framing, RequestHead, ResponseHead
from router.server import ClientConnection, Sent, Server, cut_off, problem_bytes
from router.upstream.connection import Connection
from router.upstream.pool import Pool
from runtime import logs
from runtime.api.problem import ApiError

log = logs.get("router.passage")


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer that began: the head is here, the rest is read from the connection."""

    pool: Pool
    connection: Connection
    head: ResponseHead
    pump: "asyncio.Task[None] | None"
    """What still carries the request's body, if anything."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Idle deadlines of a response's two sides."""

    cell_seconds: float
    client_seconds: float


class Passage:
    """The client's side of one request."""

    def __init__(
        self, request: web.BaseRequest, head: RequestHead, body: RequestBody, ident: bytes, server: Server
    ) -> None:
        self.request, self.head, self.body, self.ident = request, head, body, ident
        self.started = time.monotonic()
        self._server = server
        # What follows a request to upgrade may be lost on the way to the parser.
        self._keep_alive = bool(request.keep_alive) and not strict.asks_upgrade(head)
        self._answering = self._was_cut = False

    # --- an answer passed on ---

    async def pass_on(self, exchange: Exchange, patience: Patience) -> web.StreamResponse:
        """The cell's answer, piece by piece. TransferBroken; TimeoutError when the client does not take it."""
        metrics.answered(exchange.pool.cell_id, exchange.head.status, time.monotonic() - self.started)
        connection = exchange.connection
        framing = connection.framing
        chunked = (framing is None or framing.chunked) and self.head.version == (1, 1)
        self._keep_alive = self._goes_on(exchange, framing, chunked)
        first = await connection.read() if connection.complete else b""
        self._begin(exchange.head, framing, chunked, first)
        if not connection.complete:
            await self._stream(connection, patience, chunked)
        elif chunked:
            self.write(b"0\r\n\r\n")
        return Sent(exchange.head.status, self._keep_alive)

    def _goes_on(self, exchange: Exchange, framing: Framing | None, chunked: bool) -> bool:
        if exchange.pump is not None and not exchange.pump.done():
            return False  # the answer came before the body's end: who knows what follows
        if exchange.head.status == 401 and not self.body.replayable:
            return False  # as for a tenant that does not exist, whose large body nobody reads
        if (framing is None or framing.chunked) and not chunked:
            return False  # HTTP/1.0: the body ends with the connection
        return self._keep_alive and not self._ending

    @property
    def _ending(self) -> bool:
        """Whether the connection is to end, for a reason that may only have come up since the head came."""
        client = self.request.protocol
        return self._server.draining or (isinstance(client, ClientConnection) and client.unclear)

    def _begin(self, head: ResponseHead, framing: Framing | None, chunked: bool, first: bytes) -> None:
        """Write the head, and in the same breath what is there of the body."""
        passed = headers.for_client(head, ident=self.ident, date=_now())
        passed = headers.framed(passed, _shown_framing(self.head.method, head, framing, chunked))
        passed += headers.connection(self.head.version, self._keep_alive)
        shown = self.head.method != b"HEAD" and head.status not in strict.NO_BODY
        body = _piece(first, chunked) if first and shown else b""
        self._answering = True
        self.write(headers.response_bytes(head.status, head.reason, passed) + body)

    async def _stream(self, connection: Connection, patience: Patience, chunked: bool) -> None:
        while data := await _read(connection, patience.cell_seconds):
            self.write(_piece(data, chunked))
            async with asyncio.timeout(patience.client_seconds):
                await self.request.writer.drain()
        if chunked:
            self.write(b"0\r\n\r\n")

    # --- an answer of our own ---

    def refuse(self, error: ApiError, reason: str, *, close: bool = False) -> web.StreamResponse:
        """Tell the client what is wrong; `reason` is for the metrics."""
        if self._answering:
            return self.cut("refused_late", error)
        # A body that nobody read would be taken for the next request.
        keep_alive = self._keep_alive and self.body.complete and not (close or self._ending)
        empty = self.head.method == b"HEAD"
        data, status = problem_bytes(
            error, self.head.version, keep_alive=keep_alive, ident=self.ident, empty=empty
        )
        metrics.REFUSALS.labels(str(status), reason).inc()
        with contextlib.suppress(ConnectionError):
            self.write(data)
        return Sent(status, keep_alive)

    def cut(self, cause: str, error: Exception | None) -> web.StreamResponse:
        """End the connection with a reset."""
        self._was_cut = True
        metrics.ABORTS.labels(cause).inc()
        log.debug("transfer_cut", cause=cause, error=repr(error))
        cut_off(self.request.transport)
        return Sent(502, keep_alive=False)

    async def taken(self, sent: web.StreamResponse, idle_seconds: float) -> web.StreamResponse:
        """Wait until the client took most of what it was sent; else answers to a client that only asks pile up."""
        if self._was_cut:
            return sent
        try:
            async with asyncio.timeout(idle_seconds):
                await self.request.writer.drain()
        except TimeoutError as late:
            return self.cut("client_slow", late)
        except ConnectionError as gone:
            return self.cut("client_gone", gone)
        return sent

    def write(self, data: bytes) -> None:
        """Hand bytes to the client's connection. ConnectionResetError when it is gone."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)


def _piece(data: bytes, chunked: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if chunked else data


async def _read(connection: Connection, idle_seconds: float) -> bytes:
    try:
        async with asyncio.timeout(idle_seconds):
            return await connection.read()
    except TimeoutError:
        raise TransferBroken("the cell's response stopped coming") from None
    except RouterError as error:
        raise TransferBroken(str(error)) from error


def _shown_framing(method: bytes, head: ResponseHead, framing: Framing | None, chunked: bool) -> Framing:
    """What the client is told about the body's end."""
    lengths = head.values(b"content-length")
    if head.status in strict.NO_BODY or method == b"HEAD":
        # A length may say how long the body would be; it says nothing with 204 (RFC 9110 section 8.6).
        return Framing(int(lengths[0])) if lengths and head.status != 204 else Framing()
    if chunked:
        return Framing(chunked=True)
    return Framing() if framing is None or framing.chunked else framing


_date: tuple[int, bytes] = (0, b"")


def _now() -> bytes:
    """The `Date` of this second."""
    global _date
    second = int(time.time())
    if second != _date[0]:
        _date = (second, formatdate(second, usegmt=True).encode())
    return _date[1]
