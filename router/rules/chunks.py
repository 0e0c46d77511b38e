"""A chunked body (RFC 9112 section 7.1), taken apart as it arrives. Pure.

Chunk boundaries are where smuggling hides: what one parser repairs and the next does not moves the end of the
message. So nothing is repaired. Lines end with CRLF, a size is 1 to 15 hexadecimal digits and nothing around it,
extensions must be well-formed and are dropped (nobody here knows any), and a trailer must not be a field that
frames, routes, authenticates or controls (RFC 9110 section 6.5.1). The same code reads requests and responses.

    size line ──▶ payload ──▶ CRLF ──▶ size line …
    size line of zero ──▶ trailer lines ──▶ empty line: complete
"""

import re
from collections.abc import Iterable
from enum import Enum

from router.rules.head import Header

LARGEST_SIZE_LINE_BYTES = 1_024
"""Without its CRLF; an extension takes what the digits leave."""
LARGEST_TRAILERS_BYTES = 16_384
"""All trailer lines with their CRLFs."""
MOST_TRAILERS = 64
FORBIDDEN_TRAILERS = frozenset(
    {
        b"transfer-encoding", b"content-length", b"host", b"connection", b"keep-alive", b"te", b"trailer",
        b"upgrade", b"authorization", b"www-authenticate", b"cookie", b"set-cookie", b"content-encoding",
        b"content-type", b"content-range", b"expect", b"max-forwards", b"cache-control", b"range", b"via",
        b"forwarded", b"x-real-ip", b"x-request-id", b"idempotency-key", b"x-tenant", b"http2-settings",
        b"traceparent", b"tracestate",
    }
)  # fmt: skip
FORBIDDEN_BEGINNINGS = (b"proxy-", b"if-", b"x-forwarded-", b"cellway-")
"""Trailers that begin so are refused too, and the underscore twins of all of them (`x_tenant`)."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION = rb";[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
# Possessive repeats throughout: the time for a hostile line stays linear.
_PLAIN = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb"(?:[ \t]*+" + _EXTENSION + rb")*+)?")
_SIZE_SO_FAR = re.compile(rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*+)?)?\r?")
_TRAILER = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*+)")
_TRAILER_SO_FAR = re.compile(rb"(?:" + _TOKEN + rb"(?::[\t\x20-\x7e\x80-\xff]*+)?)?\r?")
_CRLF = b"\r\n"
_AT_SIZE, _NONE = -1, -2
"""In place of the payload bytes that are still due: a size line comes next; there is no more payload."""


class Malformed(ValueError):
    """The body is not chunked as it must be; its connection can only be closed."""


class _Part(Enum):
    CHUNKS = "sizes and payload"
    TRAILERS = "trailer lines"
    COMPLETE = "what comes is not of this body"
    REFUSED = "nothing is taken any more"


class Chunks:
    """One chunked body. Whichever way its bytes are split, payload, trailers, rest and verdict are the same."""

    __slots__ = ("_due_bytes", "_held", "_part", "_trailers_bytes", "complete", "rest", "trailers")

    def __init__(self) -> None:
        self.complete = False
        """Whether the end was seen, trailers included."""
        self.rest = b""
        """What came after the end."""
        self.trailers: list[Header] = []
        """Names as given, values without outer white space."""
        self._part = _Part.CHUNKS
        self._due_bytes = _AT_SIZE
        self._held = b""  # the begin of a line, never longer than a line may be
        self._trailers_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The payload that `data` brought. Raises `Malformed`, and from then on always."""
        due = self._due_bytes
        if due >= len(data):  # amid a large chunk: nothing to look at, nothing to copy
            self._due_bytes = due - len(data)
            return data
        if due == _AT_SIZE and not self._held and (match := _PLAIN.match(data)):
            begin, end = match.end(), len(data) - 2
            if begin < end and int(match[1], 16) == end - begin and data.endswith(_CRLF):
                return data[begin:end]  # one whole chunk, as senders that stream write them
        if self._held:
            data = self._held + data
            self._held = b""
        if self._part is _Part.CHUNKS:
            return self._chunks(data)
        if self._part is _Part.COMPLETE:
            self.rest += data
        elif self._part is _Part.TRAILERS:
            self._trailer_lines(data, 0)
        else:
            raise Malformed("the body was refused before")
        return b""

    def _chunks(self, data: bytes) -> bytes:
        """Sizes and payload from the begin of `data`; one loop, since a body may be all tiny chunks."""
        at, due, length = 0, self._due_bytes, len(data)
        pieces: list[bytes] = []
        while True:
            if due < 0:
                if match := _PLAIN.match(data, at):
                    due, at = int(match[1], 16), match.end()
                else:
                    due, at = self._unusual_size(data, at)
                    if due < 0:
                        break
                if due == 0:
                    self._due_bytes, self._part = _NONE, _Part.TRAILERS
                    self._trailer_lines(data, at)
                    break
            stop = at + due
            if stop + 2 > length:
                pieces.append(data[at:stop])
                self._unfinished(data, at, due)
                break
            if not data.startswith(_CRLF, stop):
                raise self._refused("a chunk does not end where its size says")
            pieces.append(data[at:stop])
            at, due = stop + 2, _AT_SIZE
            if at == length:
                self._due_bytes = _AT_SIZE
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _unfinished(self, data: bytes, at: int, due: int) -> None:
        """Keep in mind that `data` ends in a chunk of which `due` payload bytes begin at `at`."""
        came = len(data) - at
        if came > due and data[at + due] != 0x0D:
            raise self._refused("a chunk does not end where its size says")
        self._due_bytes = max(due - came, 0)
        self._held = data[at + due :]

    def _unusual_size(self, data: bytes, at: int) -> tuple[int, int]:
        """(size, where the payload begins) of a line with extensions; of an unfinished line (-1, at)."""
        end = data.find(_CRLF, at, at + LARGEST_SIZE_LINE_BYTES + 2)
        if end >= 0:
            match = _SIZE.fullmatch(data, at, end)
            if match is None:
                raise self._refused("a chunk's size is malformed")
            return int(match[1], 16), end + 2
        if len(data) - at > LARGEST_SIZE_LINE_BYTES + 1:
            raise self._refused("a chunk's size line is too long")
        if _SIZE_SO_FAR.fullmatch(data, at) is None:
            raise self._refused("a chunk's size is malformed")
        self._due_bytes, self._held = _AT_SIZE, data[at:]
        return _AT_SIZE, at

    def _trailer_lines(self, data: bytes, at: int) -> None:
        """Trailers from `at` on, and the end if it is there."""
        while (end := data.find(_CRLF, at)) >= 0:
            if end == at:
                self._part, self.complete, self.rest = _Part.COMPLETE, True, data[at + 2 :]
                return
            self._trailer(data[at:end])
            at = end + 2
        self._held = data[at:]
        if len(self._held) > 1 and self._trailers_bytes + len(self._held) > LARGEST_TRAILERS_BYTES:
            raise self._refused("the trailers are too large")
        if _TRAILER_SO_FAR.fullmatch(self._held) is None:
            raise self._refused("a trailer is malformed")

    def _trailer(self, line: bytes) -> None:
        self._trailers_bytes += len(line) + 2
        if self._trailers_bytes > LARGEST_TRAILERS_BYTES or len(self.trailers) == MOST_TRAILERS:
            raise self._refused("the trailers are too large or too many")
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise self._refused("a trailer is malformed")
        if forbidden(match[1]):
            raise self._refused("a field is among the trailers that must not be there")
        self.trailers.append((match[1], match[2].strip(b" \t")))

    def _refused(self, reason: str) -> Malformed:
        self._part, self._due_bytes, self._held = _Part.REFUSED, _NONE, b""
        return Malformed(reason)


def forbidden(name: bytes) -> bool:
    """Whether a trailer of this name is refused."""
    plain = name.lower().replace(b"_", b"-")
    return plain in FORBIDDEN_TRAILERS or plain.startswith(FORBIDDEN_BEGINNINGS)


def framed(data: bytes) -> bytes:
    """`data` as one chunk. Of nothing, nothing: an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Iterable[Header] = ()) -> bytes:
    """What ends a chunked body."""
    return b"0\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % trailer for trailer in trailers])
