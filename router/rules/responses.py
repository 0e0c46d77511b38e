"""A response's head, as it came from a cell and as a client gets it. Pure."""

from typing import Final

from router.rules.head import FIELDS, LARGEST_HEAD_BYTES, STATUS_LINE, Framing, told_apart, without
from router.rules.headers import FROM_CELLS, shown_framing
from router.rules.memo import Memo
from router.rules.strict import goes_on, options, response_fault, response_framing

EVENT_STREAM: Final = b"text/event-stream"


class ResponseHead:
    """A status line and its header lines, found out once for all responses that bring the same.

    `named`: the values of the headers that mean something here, by lower case.
    """

    __slots__ = (
        "count", "dated", "events", "fault", "framing", "keeps", "lead", "length_bytes", "lines", "minor", "named",
        "reason", "status", "usual_line",
    )  # fmt: skip

    def __init__(self, minor: int, status: int, reason: bytes, block: bytes) -> None:
        self.minor, self.status, self.reason = minor, status, reason
        self.lines, self.named, self.count = told_apart(block, FROM_CELLS)
        self.fault = response_fault(self)
        """Why it is not passed on."""
        self.dated = b"date" in self.named
        """Whether a client is told the cell's date."""
        if b"connection" in self.named:
            left_behind = options(self)
            self.lines = without(self.lines, left_behind)
            self.dated = self.dated and b"date" not in left_behind
        self.framing = None if self.fault else response_framing(b"GET", self)
        """How the body ends, where the request was not HEAD; None: with the connection."""
        self.length_bytes = -1 if self.framing is None else self._length(self.framing)
        """Of a body that is not chunked, else -1."""
        self.usual_line = shown_framing(b"GET", status, self.framing, self.length_line, chunked=False)
        """How a client is told of the body's end, where the request was not HEAD and the body is of a known
        length.
        """
        self.keeps = goes_on(self)
        """Whether the cell keeps the connection open."""
        types = self.named.get(b"content-type")
        self.events = types is not None and types[0][: len(EVENT_STREAM)].lower() == EVENT_STREAM
        self.lead = b"HTTP/1.1 %d %b\r\n%b" % (status, reason, b"\r\n".join([*self.lines, b""]))
        """The beginning of the head that a client gets. The version is the sender's own (RFC 9110 section 6.2)."""

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} 1.{self.minor}>"

    @staticmethod
    def _length(framing: Framing) -> int:
        return -1 if framing.chunked else framing.length_bytes or 0

    @property
    def length_line(self) -> bytes | None:
        """The value of its Content-Length."""
        lengths = self.named.get(b"content-length")
        return lengths[0] if lengths else None


class NotHttp(ValueError):
    """These bytes are no response's head."""


def _find_out(head: bytes) -> ResponseHead:
    line = STATUS_LINE.match(head)
    if line is None:
        raise NotHttp("a status line that is not HTTP as it must be")
    block = head[line.end() : -2]
    if not FIELDS.match(block):
        raise NotHttp("a header that is not HTTP as it must be")
    if len(head) > LARGEST_HEAD_BYTES:
        raise NotHttp("a head that is too large")
    minor, status, reason = line.groups()
    return ResponseHead(1 if minor == b"1" else 0, int(status), reason or b"", block)


HEADS: Final = Memo(_find_out, most_entries=4096)
"""head, with the empty line that ends it → what it says. NotHttp."""
