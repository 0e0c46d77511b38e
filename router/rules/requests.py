"""A request's head: its line, and what its header lines say. Pure."""

from collections.abc import Sequence
from typing import Final

from router.rules import headers
from router.rules.head import FIELDS, MOST_HEADERS, REQUEST_LINE, Repeated, Vocabulary, told_apart, without
from router.rules.identify import Identified, Sources, Unidentified, identify
from router.rules.memo import Memo
from router.rules.strict import options, request_fault, request_framing

UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"via", b"prefer"})
"""A request with one of these is looked at with more care."""
LARGEST_PLAIN_BYTES: Final = 8192
ORDINARY_OPTIONS: Final = frozenset({b"keep-alive"})


class RequestFields:
    """What a block of header lines says, found out once for all requests that bring the same."""

    __slots__ = (
        "body_bytes", "claim", "count", "fault", "framing_line", "host", "ident", "lead", "lines", "named",
        "plain", "tenant", "trace",
    )  # fmt: skip

    def __init__(self, block: bytes, vocabulary: Vocabulary, sources: Sources) -> None:
        self.fault: str | None = None
        """Why no request may have these lines; only for what `named` could not say."""
        self.lines: tuple[bytes, ...] = ()
        """Those that travel on, as they came."""
        self.named: dict[bytes, tuple[bytes, ...]] = {}
        self.count = 0
        self.plain = False
        """Whether nothing here asks for care, whatever the target in origin form (but for a tenant named in it).
        """
        self.host = self.lead = self.framing_line = b""
        self.body_bytes = 0
        """Of the body that follows, where this is plain; `framing_line` says so to the cell."""
        self.ident: bytes | None = None
        self.trace: bytes | None = None
        self.claim: Identified | Unidentified = Unidentified.NO_TENANT
        self.tenant = b""
        """That of the claim, if it is plain."""
        try:
            self.lines, self.named, self.count = told_apart(block, vocabulary)
        except Repeated as repeated:
            self.fault = str(repeated)
            return
        if b"connection" in self.named:
            # What they name stays behind; ours cannot be taken out so, for they are not among these lines.
            self.lines = without(self.lines, options(RequestHead(b"", b"/", 1, self)))
        self.host = next(iter(self.named.get(b"host", ())), b"")
        lead = b"Host: %b\r\n%b" % (self.host, b"\r\n".join([*self.lines, b""]))
        self.lead = block if lead == block else lead  # mostly they are the same bytes, which then are kept once
        self.ident = headers.given_id(self.named)
        self.trace = headers.given_trace(self.named)
        like = RequestHead(b"GET", b"/", 1, self)
        self.claim = identify(like, sources)
        self.plain = (
            isinstance(self.claim, Identified)
            and request_fault(like) is None
            and UNUSUAL.isdisjoint(self.named)
            and options(like) <= ORDINARY_OPTIONS
            and self.count <= MOST_HEADERS
            and len(block) <= LARGEST_PLAIN_BYTES
        )
        if self.plain and isinstance(self.claim, Identified):
            self.tenant = self.claim.tenant
            framing = request_framing(like)
            self.body_bytes, self.framing_line = framing.length_bytes or 0, headers.framing_line(framing)


class RequestHead:
    """A request line and its header lines. `named`: values of those that mean something here, by lower case."""

    __slots__ = ("fields", "method", "minor", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, fields: RequestFields) -> None:
        self.method, self.target, self.minor, self.fields = method, target, minor, fields

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.target!r} 1.{self.minor}>"

    @property
    def named(self) -> dict[bytes, tuple[bytes, ...]]:
        return self.fields.named

    def values(self, name: bytes) -> Sequence[bytes]:
        """The values of the header `name` (lower case, one that means something here), in order."""
        return self.fields.named.get(name, ())


class Requests:
    """Reads heads of requests by one vocabulary."""

    def __init__(self, sources: Sources, *, trusted: bool) -> None:
        self._vocabulary = headers.from_clients(sources.tenant_header, trusted=trusted)
        self._sources = sources
        self.fields = Memo(self._find_out)
        """header lines → what they say."""

    def _find_out(self, block: bytes) -> RequestFields:
        return RequestFields(block, self._vocabulary, self._sources)

    def read(self, data: bytes, end: int) -> RequestHead | None:
        """The head whose last CR LF CR LF is at `end`; None when it does not fit the grammar."""
        line = REQUEST_LINE.match(data)
        if line is None:
            return None
        method, target, minor = line.groups()
        block = data[line.end() : end + 2]
        fields = self.fields.young.get(block)
        if fields is None:
            # The grammar is asked first: what a memo holds is sound, so what is found there need not be asked.
            if not FIELDS.match(block):
                return None
            fields = self.fields.find(block)
        return RequestHead(method, target, 1 if minor == b"1" else 0, fields)
