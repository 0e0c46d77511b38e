"""One HTTP/1.1 connection to a cell.

Sends bytes as they are, and gives back the answer as a head and pieces of body. What is not HTTP as it must be,
breaks off, or goes on after its end fails with a named error, and such a connection is never used again.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from router.errors import RouterError, TransferBroken, Unreached
from router.rules.decide import Outcome
from router.rules.head import Framing, Header, ResponseHead
from router.rules.strict import response_fault, response_framing

LARGEST_HEAD_BYTES = 65_536
READ_AHEAD_BYTES = 131_072
"""A cell that sends faster than the client takes is paused here, and goes on at a quarter of it."""
WRITE_AHEAD_BYTES = 65_536


class Connection(asyncio.Protocol):
    """Used by one request at a time. One task reads; another may write."""

    def __init__(self, heard: Callable[[], None], lost: Callable[["Connection"], None]) -> None:
        self._heard, self._lost = heard, lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._requests = 0
        self.kept_at = 0.0
        """When it was last put back, by the loop's clock."""
        self._begin(b"")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "busy" if self._expecting else "kept"
        return f"<Connection {state}, {self._requests} requests>"

    def _begin(self, method: bytes) -> None:
        self._method = method
        self._expecting = bool(method)
        self._parser = HttpResponseParser(self)
        self._headers: list[Header] = []
        self._head_bytes = 0
        self._reason = b""
        self._head: ResponseHead | None = None
        self._framing: Framing | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._received = 0
        self._complete = False
        self._excess = False
        self._keeps = False
        self._sent_all = False
        self._reading_paused = False
        self._error: RouterError | None = None

    # --- the side of the one who forwards ---

    @property
    def closed(self) -> bool:
        """Whether it is of no more use."""
        return self._closed

    @property
    def complete(self) -> bool:
        """Whether all of the answer is here, though perhaps not read yet."""
        return self._complete and self._error is None

    @property
    def kept(self) -> bool:
        """Whether it served a request before this one, so that the cell may have closed it meanwhile."""
        return self._requests > 1

    @property
    def answered(self) -> bool:
        """Whether any byte of an answer came."""
        return self._received > 0

    @property
    def reusable(self) -> bool:
        """Whether the next request may use it: both messages ended where they had to."""
        return (
            self._complete and self._keeps and self._sent_all and not (self._excess or self._error or self._closed)
        )

    def expect(self, method: bytes) -> None:
        """Begin with a request; its answer is read by the rules for `method`."""
        self._begin(method)
        self._requests += 1

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Hand bytes to the transport. Unreached or TransferBroken when the connection is gone."""
        if self._closed or self._transport is None:
            raise self._error or Unreached(Outcome.CLOSED)
        self._transport.write(data)
        self._sent_all = last

    async def flushed(self) -> None:
        """Wait until the cell has taken most of what was sent. The caller sets the deadline."""
        if self._writable is not None and not self._closed:
            await asyncio.shield(self._writable)
        if self._closed:
            raise self._error or Unreached(Outcome.CLOSED)

    async def head(self) -> ResponseHead:
        """The answer's head. Unreached when none came that may be passed on."""
        while self._head is None and self._error is None:
            await self._wait()
        if self._error is not None:
            raise self._error
        return cast(ResponseHead, self._head)

    @property
    def framing(self) -> Framing | None:
        """How the answer's body ends; None: with the connection. Known once the head is."""
        return self._framing

    async def read(self) -> bytes:
        """What came of the body since, b"" at its end. TransferBroken when it broke off."""
        while not self._chunks and not self._complete and self._error is None:
            await self._wait()
        if self._error is not None:
            raise self._error
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def fail(self, error: RouterError) -> None:
        """End what is under way with `error`; it is raised to whoever reads or sends."""
        if self._error is None and not (self._complete and not self._expecting):
            self._error = error
        self.abort()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None and not self._closed:
            self._transport.abort()
        self._closed = True
        self._wake()

    def rest(self) -> None:
        """Put it aside, expecting nothing."""
        self._expecting = False
        self.kept_at = self._loop.time()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        for waiter in (self._waiter, self._writable if self._closed else None):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        self._heard()
        self._received += len(data)
        if not self._expecting or self._complete:
            self._excess = True
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._broken("an upgrade that nobody asked for")
        except HttpParserError as error:
            self._unparsable(str(error.__context__ or error))
        if self._head is None and self._received > LARGEST_HEAD_BYTES:
            self._broken("a head that is too large")
        if self._excess:
            self._broken("bytes after the end")
        self._wake()

    def _unparsable(self, what: str) -> None:
        if self._complete:
            self._excess = True
        else:
            self._broken(what)

    def _broken(self, what: str) -> None:
        # A head that nobody took yet is withdrawn: the client gets a whole error, not half a response.
        self.fail(Unreached(Outcome.MALFORMED, what))

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._expecting and not self._complete and self._error is None:
            if self._head is None:
                self._error = Unreached(self._ended_without_head())
            elif self._framing is None and exc is None:
                self._complete = True
            else:
                self._error = TransferBroken("the cell's response broke off")
        self._wake()
        self._lost(self)

    def _ended_without_head(self) -> Outcome:
        if self._received:
            return Outcome.MALFORMED
        return Outcome.STALE if self.kept else Outcome.CLOSED

    # --- the parser's side ---

    def on_message_begin(self) -> None:
        if self._complete:
            self._excess = True
        self._headers, self._reason = [], b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:
            return  # a trailer, which is dropped
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LARGEST_HEAD_BYTES:
            raise ValueError("a head that is too large")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return  # interim: the final one follows
        major, _, minor = self._parser.get_http_version().partition(".")
        head = ResponseHead(status, self._reason, tuple(self._headers), (int(major), int(minor)))
        fault = response_fault(head)
        if fault is not None:
            raise ValueError(fault)
        self._head, self._framing = head, response_framing(self._method, head)
        if self._method == b"HEAD":
            # The parser cannot know that no body follows; a new one begins with the next request.
            self._keeps = self._parser.should_keep_alive()
            self._complete = True

    def on_body(self, body: bytes) -> None:
        if self._complete:
            self._excess = True
            return
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > READ_AHEAD_BYTES and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head is None:
            return  # the interim one ended
        if not self._complete:
            self._keeps = self._parser.should_keep_alive()
            self._complete = True
