"""One client's connection: heads read strictly, one request after the other, deadlines, and bytes out.

HEAD ── a head came ──▶ BODY ── it ended ──▶ ANSWERING ── answered ──▶ HEAD …
                                                 └─ a WebSocket opened ──▶ PIPE
any ── nothing more is to be read ──▶ DEAF ──▶ closed
"""

import asyncio
import socket
import struct
from contextlib import suppress
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, cast

from router import metrics
from router.errors import malformed, overloaded
from router.passage import Passage
from router.problems import problem_bytes
from router.rules import headers
from router.rules.head import LARGEST_HEAD_BYTES, LARGEST_LINE_BYTES, MOST_HEADERS
from router.rules.headers import Client as Sender
from router.rules.identify import Identified
from router.rules.requests import RequestHead
from router.rules.strict import size_fault, unread_fault
from runtime import logs
from runtime.api.problem import ApiError

if TYPE_CHECKING:
    from router.lane import Lane
    from router.pipe import Pipe

log = logs.get("router.client")
UNSENT_BYTES: Final = 16_384
READ_AHEAD_BYTES: Final = 65_536
"""What may come of further requests while one is answered; then the client waits."""
LINGER_SECONDS = 2.0
"""How long an answered client may go on sending its body before the connection is closed."""
HALF_CLOSED_SECONDS: Final = 0.75
"""A client that stopped sending and hears nothing for so long counts as gone: both look alike until one writes."""


class State(Enum):
    """What is read next."""

    HEAD = "a request's head"
    BODY = "its body"
    ANSWERING = "nothing, but what comes early is kept"
    PIPE = "what a WebSocket sends"
    DEAF = "nothing any more"


_HEAD: Final = State.HEAD
_ANSWERING: Final = State.ANSWERING
"""Looked up once: an enumeration is slow to be asked."""


class Client:
    """The protocol of the public port.

    An `asyncio.Protocol` by shape: what inherits from outside cannot be compiled well.
    """

    __slots__ = (
        "_half_closed", "_head_begun", "_held", "_lane", "_outbox", "_reader", "_reading", "_reading_paused",
        "_rest", "_sender", "_state", "_transport", "_unsent", "deadline", "passage", "pipe", "way_host",
        "way_lines", "write_paused",
    )  # fmt: skip

    def __init__(self, lane: "Lane", sender: Sender | None = None) -> None:
        self._lane, self._sender = lane, sender or Sender(b"unknown")
        self._outbox = lane.outbox
        self._reader = lane.reader(self._sender)
        self._transport: asyncio.Transport | None = None
        self._state = State.HEAD
        self._rest = b""
        """What came and was not read yet."""
        self._unsent = b""
        """What is to be sent at the end of the turn."""
        self._reading = self._reading_paused = self._held = self.write_paused = self._half_closed = False
        self._head_begun = False
        """Whether a head came in part, and is awaited."""
        self.way_host: bytes | None = None
        """The host that `way_lines` tell of."""
        self.way_lines = b""
        self.passage: Passage | None = None
        self.pipe: Pipe | None = None
        self.deadline = inf
        """When what is awaited is late, by the monotonic clock; looked at ten times a second."""

    def __repr__(self) -> str:
        return f"<Client {self._sender.address.decode()} {self._state.name.lower()}>"

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = self._transport = cast(asyncio.Transport, transport)
        lane = self._lane
        if lane.full:
            metrics.CLIENTS_REFUSED.inc()
            self._state = State.DEAF
            full = ApiError("UNAVAILABLE", "too many clients are connected")
            wire.write(problem_bytes(full, 1, keep_alive=False))
            wire.close()
            return
        if self._sender.address == b"unknown":
            self._sender = lane.sender(wire)
            self._reader = lane.reader(self._sender)
        lane.clients.add(self)
        self.deadline = lane.now + lane.idle_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._state, self._unsent = State.DEAF, b""
        self._lane.gone(self)
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            pipe.closed()
        passage, self.passage = self.passage, None
        if passage is not None:
            if pipe is None:  # which ends in no other way
                metrics.ABORTS.labels("client_gone").inc()
            passage.abandon()

    def data_received(self, data: bytes) -> None:
        try:
            if self._state is _HEAD:
                if self._rest or not self._read_plain(data):
                    self._read(data)
            elif self._state is State.BODY:
                self._read_body(data)
            elif self._state is State.PIPE and self.pipe is not None:
                self._pipe_goes_on()
                self.pipe.from_client(data, draining=self._lane.draining)
            elif self._state is State.ANSWERING:
                self._rest += data
                if len(self._rest) > READ_AHEAD_BYTES:
                    self._pause()
        except Exception as error:
            self._fault(error)

    def eof_received(self) -> bool:
        """Whether the connection stays open for what is still to be written."""
        self.flush()
        self._half_closed = True
        if self._state is State.PIPE and self.pipe is not None:
            self._pipe_goes_on()
            self.pipe.client_ended()
            return True
        if self._state is State.ANSWERING and self.passage is not None:
            self.deadline = self._lane.now + HALF_CLOSED_SECONDS
            return True
        return False

    def pause_writing(self) -> None:
        self.write_paused = True
        if self._state is not State.DEAF:
            self.deadline = self._lane.now + self._lane.write_idle_seconds
        if self.passage is not None:
            self.passage.client_busy(True)
        if self._state is not State.PIPE:  # there each direction goes its own way
            self._pause()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._state is State.PIPE:
            self._pipe_goes_on()
        elif self._state is not State.DEAF:
            self.deadline = self._lane.now + self._patience_seconds()
        if self.passage is not None:
            self.passage.client_busy(False)
        self._resume()
        if self._state is State.HEAD and self._rest and not self._reading:
            self._read(b"")

    def _patience_seconds(self) -> float:
        """How long it may stay silent, now that it took what it was sent."""
        if self.passage is None:
            return self._lane.idle_seconds
        if self._half_closed:
            return HALF_CLOSED_SECONDS
        return self._lane.body_idle_seconds if self._state is State.BODY and not self._held else inf

    def _pipe_goes_on(self) -> None:
        """Both sides of a WebSocket are as they should be; a client that takes nothing has a deadline already."""
        if not self.write_paused:
            silent_seconds = HALF_CLOSED_SECONDS if self._half_closed else self._lane.pipe_idle_seconds
            self.deadline = self._lane.now + silent_seconds

    # --- reading ---

    def _read_plain(self, data: bytes) -> bool:
        """The usual case, spelled out: one head, and no more, that can be passed on at once. Whether it was so."""
        lane = self._lane
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > LARGEST_LINE_BYTES or lane.behind or self.write_paused:
            return False
        head = self._reader.read(data, end)
        if head is None or not head.fields.plain:
            return False
        body_bytes = head.fields.body_bytes
        if len(data) - end - 4 != body_bytes or body_bytes > lane.replay_bytes:
            return False
        self._state, self.deadline, self._head_begun = _ANSWERING, inf, False
        passage = self.passage = Passage(lane, self, head)
        if passage.sent_at_once(data[end + 4 :]):
            return True
        self._state, self.passage = _HEAD, None
        return False

    def _read(self, data: bytes) -> None:
        """Take up the requests that are there, one after the other."""
        if self.write_paused:
            self._rest += data  # read once the client took what it was sent
            return
        if self._rest:
            fresh, data, self._rest = len(data), self._rest + data, b""
            if self._head_begun and b"\r\n\r\n" not in data[-fresh - 3 :]:
                self._unread(data, complete=False)
                return
        self._reading = True
        try:
            while data:
                if data[:2] == b"\r\n":  # one empty line is tolerated (RFC 9112 section 2.2)
                    data = data[2:]
                end = data.find(b"\r\n\r\n")
                head = self._reader.read(data, end) if 0 <= end <= LARGEST_HEAD_BYTES else None
                if head is None:
                    self._unread(data, complete=end >= 0)
                    return
                self._rest = data[end + 4 :]
                if not self._begin(head, end, data) or self.write_paused:
                    return
                data, self._rest = self._rest, b""
        finally:
            self._reading = False

    def _begin(self, head: RequestHead, end: int, data: bytes) -> bool:
        """Serve a request; whether the next one can be read already."""
        lane, count = self._lane, head.fields.count
        if end > LARGEST_LINE_BYTES or count > MOST_HEADERS:
            fault = size_fault(end, count, data)
            if fault is not None:
                self.refuse_head(malformed(fault, status=431), "too_large")
                return False
        if lane.behind and lane.sheds():
            return self._shed(head)
        self._state, self.deadline, self._head_begun = _ANSWERING, inf, False
        passage = self.passage = Passage(lane, self, head)
        self._rest = passage.begin(self._rest)
        if self._serves(passage) and passage.reading:
            self._state = State.BODY
            self.deadline = inf if self._held else lane.now + lane.body_idle_seconds
        return self._state is _HEAD

    def _shed(self, head: RequestHead) -> bool:
        """Refuse a request unseen, at the least cost; whether the next one can be read already."""
        plain = head.fields.plain and not head.fields.body_bytes and head.minor == 1
        if not plain or head.method == b"HEAD" or self._lane.leaving:
            self.refuse_head(overloaded(), "overload")
            return False
        self._head_begun = False
        self.deadline = self._lane.now + self._lane.idle_seconds
        metrics.REFUSALS.labels("503", "overload").inc()
        self.write(self._lane.shed_bytes)  # a new connection would cost more than to keep this one
        return True

    def _read_body(self, data: bytes) -> None:
        passage = self.passage
        if passage is None:
            return
        self._rest += passage.more(data)
        if not self._serves(passage):
            if self._state is _HEAD and self._rest:
                self._read(b"")  # it was answered while its end was read, and another one follows
            return
        if passage.reading:
            self.deadline = inf if self._held else self._lane.now + self._lane.body_idle_seconds
        elif self._state is State.BODY:
            self._state, self.deadline = State.ANSWERING, inf
            self.hold(False)

    def _serves(self, passage: Passage) -> bool:
        """Whether it was not answered yet."""
        return self.passage is passage

    def _unread(self, data: bytes, *, complete: bool) -> None:
        """What came is no head, or (unless an empty line came: `complete`) not a whole one yet."""
        fault = unread_fault(data, complete=complete)
        if fault is not None:
            status, reason = fault
            self.refuse_head(malformed(reason, status=status), "unparsable")
            return
        if self._half_closed:
            self.finish()  # the rest of it will never come
            return
        self._rest = data
        if not self._head_begun and data.strip(b"\r\n"):
            # From its first byte on, however slowly it trickles.
            self._head_begun = True
            self.deadline = self._lane.now + self._lane.head_seconds

    def refuse_head(self, error: ApiError, reason: str) -> None:
        """Answer what is not taken up at all, and end the connection."""
        metrics.REFUSALS.labels(str(error.status), reason).inc()
        self.write(problem_bytes(error, 1, keep_alive=False, ident=self._lane.fresh_id()))
        self.finish(linger=True)

    def _fault(self, error: Exception) -> None:
        log.error("request_failed", error=repr(error), exc_info=error)
        if self.passage is not None:
            self.passage.fault()
        else:
            self.cut_off()

    # --- the passage's side ---

    def way(self, head: RequestHead, found: Identified) -> bytes:
        """The lines about the way that a request came; mostly those of the one before."""
        lines = headers.about_the_way(head, found, self._sender, self._lane.via)
        if found.prefix is None and head.minor and found.host == head.fields.host and not self._sender.trusted:
            self.way_host, self.way_lines = found.host, lines
        return lines

    def write_soon(self, data: bytes) -> None:
        """Hand over an answer that can wait for the end of the turn (`outbox`), while it is small."""
        if not self._unsent:
            self._unsent = data
            self._outbox.add(self)
        else:
            self._unsent += data
            if len(self._unsent) > UNSENT_BYTES:
                self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        data, self._unsent = self._unsent, b""
        transport = self._transport
        if data and transport is not None:
            try:
                transport.write(data)
            except RuntimeError:
                self._transport = None  # uvloop has closed it, and is about to say so

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport; ignored when the client is gone."""
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        transport = self._transport
        if transport is not None:
            try:
                transport.write(data)
            except RuntimeError:
                self._transport = None  # uvloop has closed it, and is about to say so
            if self._half_closed and not self.write_paused:
                self.deadline = self._lane.now + HALF_CLOSED_SECONDS

    def hold(self, held: bool) -> None:
        """Let the client wait (or go on) with what it sends."""
        self._held = held
        if held:
            self._pause()
            if self._state is State.BODY:
                self.deadline = inf
        else:
            self._resume()
            if self._state is State.BODY:
                self.deadline = self._lane.now + self._lane.body_idle_seconds

    def _pause(self) -> None:
        if self._transport is not None and not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading_paused or self._held or self._transport is None:
            return
        if self.write_paused and self._state is not State.PIPE:
            return
        if self._half_closed or self._transport.is_closing():
            return
        self._reading_paused = False
        self._transport.resume_reading()

    def answer(self, data: bytes) -> None:
        """Hand over a whole answer, after which the connection goes on."""
        if self._unsent or self._rest or self.write_paused or self._half_closed or self._reading_paused:
            self.write_soon(data)
            self.answered(keep_alive=True)
            return
        # The usual case, spelled out.
        self._unsent = data
        self._outbox.add(self)
        self._state, self.passage = _HEAD, None
        self.deadline = self._lane.now + self._lane.idle_seconds

    def answered(self, *, keep_alive: bool) -> None:
        """The response is written: go on with the next request, or end."""
        unread = self.passage is not None and self.passage.body is not None and not self.passage.body.complete
        self.passage = None
        self._held = False
        if not keep_alive or (self._half_closed and not self._rest):
            self.finish(linger=unread or bool(self._rest))
            return
        self._state = _HEAD
        if self.write_paused:
            return  # the next one is read once this one was taken
        self.deadline = self._lane.now + self._lane.idle_seconds
        self._resume()
        if self._rest and not self._reading:
            data, self._rest = self._rest, b""
            self._read(data)

    def switch(self, pipe: "Pipe") -> None:
        """It is a WebSocket from now on."""
        self.pipe, self._state = pipe, State.PIPE
        self._pipe_goes_on()
        rest, self._rest = self._rest, b""
        self._resume()
        if rest:
            pipe.from_client(rest)

    def finish(self, *, linger: bool = False) -> None:
        """End the connection once what was written is taken; with `linger` after reading on for a little while.

        Closing over bytes that nobody read makes the kernel reset the connection, and the answer may be lost
        (RFC 9112 section 9.6).
        """
        self.flush()
        transport, self._state, self._rest = self._transport, State.DEAF, b""
        self._held = False
        if transport is None:
            return
        taken = linger and not self.write_paused
        self.deadline = self._lane.now + (LINGER_SECONDS if taken else self._lane.write_idle_seconds)
        if linger and not self._half_closed and transport.can_write_eof():
            if not self.write_paused:
                self._resume()
            transport.write_eof()
        else:
            transport.close()

    def cut_off(self) -> None:
        """End the connection so that the other side cannot take what it has for the whole: with a reset."""
        transport, self._transport = self._transport, None
        self._state, self._unsent = State.DEAF, b""
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    # --- deadlines ---

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self._state is State.HEAD and not self._rest and not self.write_paused

    def late(self) -> None:
        """The deadline is over."""
        self.deadline, wire = inf, self._transport
        if self._state is State.BODY and self.passage is not None:
            self.passage.body_late()
        elif self._state is State.HEAD and self._rest and not self.write_paused:
            self.refuse_head(malformed("the request's head did not come in time", status=408), "head_late")
        elif self._state is State.HEAD and not self.write_paused:
            self.finish()
        elif self._state is State.DEAF and wire is not None and not wire.get_write_buffer_size():
            wire.abort()  # the kernel has all of it, and goes on for as long as the client takes
        else:
            # It does not take what it was sent, or left without a word, or does not close.
            metrics.ABORTS.labels("client_slow" if self.write_paused else "client_gone").inc()
            self.cut_off()
