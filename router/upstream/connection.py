"""One HTTP/1.1 connection to a cell.

Sends bytes as they are, and tells a receiver at once what comes back: interim heads, the head with what is there
of the body, the rest piece by piece, the end or a failure. What is not HTTP as it must be, breaks off, or goes on
after its end fails with a named error, and such a connection is never used again.
"""

import asyncio
import ssl
from contextlib import suppress
from enum import Enum
from math import inf
from time import monotonic
from typing import Final, Protocol, cast

from router.errors import RouterError, TransferBroken, Unreached
from router.outbox import Outbox
from router.rules.chunks import Chunks, Malformed
from router.rules.decide import Outcome
from router.rules.head import LARGEST_HEAD_BYTES, LINES, Framing
from router.rules.responses import HEADS, NotHttp, ResponseHead
from router.rules.strict import response_framing
from router.upstream.remains import Remains
from runtime.tls import saying

WRITE_AHEAD_BYTES: Final = 65_536
LEAVE_SECONDS: Final = 10.0
"""How long a cell may take to read what was sent to it by a client that is gone."""
DISCLOSING: Final = frozenset({b"server", b"x-powered-by"})
BEGINNING: Final = b"HTTP/1."
APART: Final = frozenset({*range(100, 200), 204, 304, 421})
"""Statuses of responses that are not looked at in passing: their bodies have rules of their own, or they decide.
"""


class Receiver(Protocol):
    """Who is told what comes over a connection, in this order. Nothing comes after `ended` or `failed`."""

    def interim(self, head: ResponseHead) -> None:
        """An interim response other than 100 and 101."""

    def switched(self, head: ResponseHead, data: bytes) -> None:
        """A 101 that was asked for; what comes from now on is not HTTP, and `piece` tells it."""

    def answered(self, head: ResponseHead, framing: Framing | None, body: bytes) -> None:
        """The head, and what came with it of the body; `connection.complete` says whether that is all."""

    def answered_whole(self, head: ResponseHead, body: bytes, now: float) -> None:
        """All of a response, whose body has the length that its head says. The connection is back already."""

    def piece(self, data: bytes) -> None:
        """More of the body."""

    def ended(self) -> None:
        """The body's end came after pieces."""

    def failed(self, error: RouterError) -> None:
        """Unreached before the head, TransferBroken after it."""

    def cell_busy(self, busy: bool) -> None:
        """Whether the cell takes what is sent more slowly than it comes."""


class Borrower(Protocol):
    """A tenant, as connections know it."""

    borrowed: int
    """Connections that it has or is opening."""
    lasting: int
    """Of them, those over which no usual answer is awaited: streams, long polls, bodies on their way."""

    @property
    def pool(self) -> object:
        """Where it lives now."""

    def freed(self, pool: object) -> None:
        """It needs less of `pool`: if it waits in another, it may have its turn there."""


class Patron(Protocol):
    """Who owns a connection."""

    def heard(self, now: float) -> None:
        """A byte came."""

    def head_came(self, connection: "Connection") -> None:
        """A final head came, or cannot come any more: nobody waits for it."""

    def distrusts(self, why: str) -> None:
        """Its certificate or ours is refused."""

    outbox: Outbox

    def settled(self, connection: "Connection", now: float) -> None:
        """All of a response came at once: `heard`, `head_came`, and the connection is given back."""

    def lost(self, connection: "Connection") -> None:
        """It is closed."""


class Phase(Enum):
    """What is expected on a connection."""

    RESTING = "nothing"
    HEAD = "a response's head"
    BODY = "more of its body"
    PIPE = "anything"


_HEAD: Final = Phase.HEAD
_RESTING: Final = Phase.RESTING
"""Looked up once: an enumeration is slow to be asked."""


class Connection:
    """Used by one request at a time. An `asyncio.Protocol` by shape, as `Client` is."""

    __slots__ = (
        "_chunks", "_interim_bytes", "_interim_of", "_left", "_method", "_outbox", "_partial", "_patron", "_phase",
        "_reading_paused", "_receiver", "_remains", "_said_end", "_sent_all", "_spoiled", "_transport",
        "_unsent", "_upgrade", "awaited", "borrower", "closed", "complete", "deadline", "excused", "keeps",
        "kept_at", "requests",
    )  # fmt: skip

    def __init__(self, patron: Patron) -> None:
        self._patron, self._outbox = patron, patron.outbox
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._phase = Phase.RESTING
        self._method = b""
        self._partial = self._unsent = b""
        self._left = 0
        """Bytes that are due of a body; -1 for one that the connection's end ends."""
        self._chunks: Chunks | None = None
        self._interim_bytes = self._interim_of = 0
        """Of interim heads, and to which request (by its number) they came."""
        self._sent_all = self._upgrade = self._reading_paused = self._spoiled = False
        self._said_end = False
        """Whether the cell said that nothing more comes."""
        self._remains: Remains | None = None
        """While both sides may talk at once."""
        self.keeps = False
        """Whether the cell goes on with the connection after this response."""
        self.closed = False
        """Whether it is of no more use."""
        self.complete = False
        """Whether all of the response came."""
        self.requests = 0
        self.borrower: Borrower | None = None
        """The tenant whose request it carries."""
        self.awaited = False
        """Whether the pool counts it among those that wait for a head."""
        self.excused = False
        """Whether it counts there among those that may take their time."""
        self.kept_at = 0.0
        """When it was last put back, by the monotonic clock."""
        self.deadline = inf
        """When what is awaited on it is late, by the monotonic clock."""

    def __repr__(self) -> str:
        state = "closed" if self.closed else self._phase.name.lower()
        return f"<Connection {state}, {self.requests} requests>"

    # --- the side of the one who forwards ---

    @property
    def kept(self) -> bool:
        """Whether it served a request before this one, so that the cell may have closed it meanwhile."""
        return self.requests > 1

    @property
    def awaits_head(self) -> bool:
        """Whether a request was sent whose response has not begun."""
        return self._phase is Phase.HEAD

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailers of a complete chunked body, without those that tell which software runs."""
        came = [] if self._chunks is None else self._chunks.trailers
        return [trailer for trailer in came if trailer[0].lower() not in DISCLOSING]

    @property
    def reusable(self) -> bool:
        """Whether the next request may use it: both messages ended where they had to."""
        return self.complete and self.keeps and self._sent_all and not (self.closed or self._spoiled)

    def begin(
        self, receiver: Receiver, method: bytes, data: bytes, *, last: bool = True, upgrade: bool = False
    ) -> None:
        """Send a request's beginning; its response is read by the rules for `method`. Unreached.

        `last`: this is all of the request. `upgrade`: a 101 is asked for.
        """
        transport = self._transport
        if self.closed or transport is None:
            raise Unreached(Outcome.REFUSED, "it was closed before anything was sent")
        self._receiver, self._method, self._upgrade = receiver, method, upgrade
        self._phase, self._sent_all, self.complete = _HEAD, last, False
        self._chunks = None
        self.requests += 1
        self._unsent = data
        if not last:
            self._keep_remains()
        self._outbox.add(self)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """More of the request's body, or of what goes through a pipe. Ignored when the connection is gone."""
        if self._unsent:
            self.flush()
        self._write(data)
        self._sent_all = last

    def flush(self) -> None:
        """Send what waits for the end of the turn (`outbox`)."""
        data, self._unsent = self._unsent, b""
        transport = self._transport
        if data and transport is not None and not self.closed:
            try:
                transport.write(data)
            except RuntimeError:
                return  # uvloop has closed it, and is about to say so

    def _write(self, data: bytes) -> None:
        if not self.closed and self._transport is not None:
            with suppress(RuntimeError):  # uvloop has closed it, and is about to say so
                self._transport.write(data)

    def spoil(self) -> None:
        """Never use it again after this request."""
        self._spoiled = True

    def pause(self, paused: bool) -> None:
        """Let the cell wait (or go on) with what it sends."""
        if self.closed or self._transport is None or paused is self._reading_paused:
            return
        self._reading_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def end(self) -> None:
        """Send no more, but hear what the cell still says; over TLS, which has no such state, only the former."""
        transport = self._transport
        self.flush()
        if not self.closed and transport is not None and transport.can_write_eof():
            transport.write_eof()

    def leave(self) -> None:
        """Close once the cell took what was sent, but wait no longer than LEAVE_SECONDS; nobody is told."""
        transport = self._transport
        self.flush()
        if self.closed or transport is None or not transport.get_write_buffer_size():
            self.abort()
            return
        self._receiver, self.closed = None, True
        self._told_head()
        self._drop_remains()
        self._phase, self.deadline = Phase.RESTING, inf
        transport.close()
        asyncio.get_running_loop().call_later(LEAVE_SECONDS, transport.abort)

    def abort(self) -> None:
        """Close at once, whatever is under way; nobody is told."""
        self._receiver, self._unsent = None, b""
        self._told_head()
        self._phase, self.deadline = Phase.RESTING, inf
        self._drop_remains()
        if not self.closed:
            self.closed = True
            if self._transport is not None:
                self._transport.abort()

    def _keep_remains(self) -> None:
        if self._remains is None and self._transport is not None:
            self._remains = Remains(self._transport)

    def _drop_remains(self) -> None:
        remains, self._remains = self._remains, None
        if remains is not None:
            remains.close()

    def _told_head(self) -> None:
        if self.awaited or self.excused:
            self._patron.head_came(self)

    def rest(self, now: float) -> None:
        """Put it aside, expecting nothing."""
        self._told_head()
        self._receiver = None
        self._phase, self.deadline, self.kept_at = Phase.RESTING, inf, now
        self._drop_remains()
        if self._reading_paused:
            self.pause(False)

    def settle(self, now: float) -> None:
        """`rest`, after a response that came whole."""
        self._receiver, self._phase, self.deadline, self.kept_at = None, _RESTING, inf, now
        if self._remains is not None:
            self._drop_remains()
        if self._reading_paused:
            self.pause(False)

    def fail(self, error: RouterError) -> None:
        """End what is under way with `error`."""
        receiver = self._receiver
        self.abort()
        if receiver is not None:
            receiver.failed(error)

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.cell_busy(True)

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.cell_busy(False)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        if self._phase is _HEAD:
            # The usual case, spelled out: all of a sound response of a known length, and no more, came at once.
            end = data.find(b"\r\n\r\n") + 4
            head = HEADS.young.get(data[:end])
            if (
                head is not None
                and len(data) - end == head.length_bytes
                and head.status not in APART
                and (receiver := self._receiver) is not None
                and self.awaited  # a probe is not
                and self._sent_all
                and not self._partial
                and self._method != b"HEAD"
            ):
                self.complete, self.keeps = True, head.keeps and not self._spoiled
                self._patron.settled(self, now)  # which forgets the receiver
                receiver.answered_whole(head, data[end:], now)
                return
            self._patron.heard(now)
            self._read_head(data)
            return
        self._patron.heard(now)
        if self._phase is Phase.BODY:
            self._read_body(data)
        elif self._phase is Phase.PIPE and self._receiver is not None:
            self._receiver.piece(data)
        else:
            self.abort()  # nothing was asked: whatever it is, it would be taken for the next answer

    def eof_received(self) -> None:
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        self._said_end = tls is None or _notified(tls)
        if self._phase is Phase.PIPE and self._receiver is not None:
            self._receiver.ended()  # it says no more, whatever it would still read
        elif self._phase is Phase.RESTING:
            self.abort()  # at once: `connection_lost` comes a turn later, and until then it could be lent

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if exc is not None and self._remains is not None and (rest := self._remains.read()):
            self.data_received(rest)
        phase, receiver = self._phase, self._receiver
        self.abort()
        if receiver is not None:
            if phase is Phase.HEAD:
                receiver.failed(self._ended_without_head(exc))
            elif (phase is Phase.BODY and self._left < 0 and self._said_end) or phase is Phase.PIPE:
                self.complete = True
                receiver.ended()
            elif phase is Phase.BODY:
                receiver.failed(TransferBroken("the cell's response broke off"))
        self._patron.lost(self)

    def _ended_without_head(self, error: Exception | None) -> Unreached:
        if self._partial:
            return Unreached(Outcome.MALFORMED)
        if self.kept:
            return Unreached(Outcome.STALE)
        # By TLS 1.3 a request is under way before the cell has looked at our certificate (RFC 8446 section 2).
        refused = saying.refused_us(error) if isinstance(error, ssl.SSLError) else None
        if refused is None:
            return Unreached(Outcome.CLOSED)
        self._patron.distrusts(refused)
        return Unreached(Outcome.REFUSED, refused)

    # --- reading ---

    def _read_head(self, data: bytes) -> None:
        if self._partial:
            fresh = len(data)
            data = self._partial + data
            if b"\r\n\r\n" not in data[-fresh - 3 :]:
                self._keep_partial(data)
                return
            self._partial = b""
        while data and (end := data.find(b"\r\n\r\n")) >= 0:
            try:
                head = HEADS.find(data[: end + 4])
            except NotHttp as fault:
                self._broken(str(fault))
                return
            if head.fault is not None:
                self._broken(head.fault)
                return
            if head.status >= 200:
                self._final(head, data, end + 4)
                return
            if head.status == 101:
                self._switch(head, data[end + 4 :])
                return
            if not self._bears_interim(end + 4):
                self._broken("interim responses without end")
                return
            if head.status != 100 and self._receiver is not None:
                self._receiver.interim(head)
            data = data[end + 4 :]
        if data:
            self._keep_partial(data)

    def _bears_interim(self, head_bytes: int) -> bool:
        """Whether the interim heads of one response are no larger than its head may be: nobody holds them up."""
        if self._interim_of != self.requests:
            self._interim_of, self._interim_bytes = self.requests, 0
        self._interim_bytes += head_bytes
        return self._interim_bytes <= LARGEST_HEAD_BYTES

    def _keep_partial(self, data: bytes) -> None:
        if len(data) > LARGEST_HEAD_BYTES:
            self._broken("a head that is too large")
        elif data[:7] != BEGINNING[: len(data)] or not LINES.match(data):
            self._broken("a head that is not HTTP as it must be")
        else:
            self._partial = data

    def _final(self, head: ResponseHead, data: bytes, end: int) -> None:
        framing = response_framing(self._method, head)
        if framing is None:
            self._left, body = -1, data[end:]
        elif framing.chunked:
            self._chunks = Chunks()
            try:
                body = self._chunks.feed(data[end:])
            except Malformed as malformed:
                self._broken(str(malformed))
                return
            self._left = 0 if self._chunks.complete else 1
            if self._chunks.rest:
                self._left = -2
        else:
            self._left = (framing.length_bytes or 0) - len(data) + end
            body = data[end:]
        if framing is not None and self._left < 0:
            self._broken("bytes after the end")
            return
        self.complete = self._left == 0
        self.keeps = framing is not None and not self._spoiled and head.keeps
        self._phase = Phase.RESTING if self.complete else Phase.BODY
        self._told_head()
        if self._receiver is not None:
            self._receiver.answered(head, framing, body)

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        upgrades = [value.lower() for value in head.named.get(b"upgrade", ())]
        accepts = head.named.get(b"sec-websocket-accept", ())
        if not self._upgrade or upgrades != [b"websocket"] or len(accepts) != 1:
            self._broken("an upgrade that nobody asked for")
            return
        self._phase = Phase.PIPE
        self._keep_remains()
        self._told_head()
        if self._receiver is not None:
            self._receiver.switched(head, rest)

    def _read_body(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        if self._chunks is not None:
            try:
                data = self._chunks.feed(data)
            except Malformed as malformed:
                self.fail(TransferBroken(str(malformed)))
                return
            self.complete = self._chunks.complete
            excess = bool(self._chunks.rest)
        elif self._left > 0:
            self._left -= len(data)
            self.complete, excess = self._left <= 0, self._left < 0
            if excess:
                data = data[: self._left]
        else:
            excess = False
        if excess:
            self.keeps = False  # all that belongs to it came, and what follows is nobody's
        if self.complete:
            self._phase = Phase.RESTING
        if data:
            receiver.piece(data)
        if self.complete:
            receiver.ended()

    def _broken(self, what: str) -> None:
        self.fail(Unreached(Outcome.MALFORMED, what))


def _notified(tls: ssl.SSLObject) -> bool:
    """Whether `close_notify` came: anybody on the way can send a FIN (RFC 8446 section 6.1)."""
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
