"""The headers that are passed on, both ways, and heads as bytes. Pure.

What a client says about itself and about the way it came is replaced by what the router knows, unless the client
is a proxy that is trusted. Nothing that belongs to one connection travels on (RFC 9110 section 7.6.1).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.rules import traces
from router.rules.head import Framing, Head, Named, Vocabulary
from router.rules.identify import Identified
from router.rules.strict import AT_MOST_ONCE, STATUSES_WITHOUT_BODY

HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip
OURS: Final = b"cellway-"
"""Headers between router and cell begin so. A client's are dropped, and a cell's are not shown."""
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
REPLACED: Final = frozenset({b"host", b"expect", b"x-request-id", b"traceparent", b"tracestate"}) | FRAMING
ABOUT_THE_WAY: Final = frozenset({b"forwarded", b"x-real-ip"})
APPENDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix"})
"""Those are written anew, a trusted proxy's with our part at the end."""
SEEN: Final = frozenset({b"via", b"prefer", b"sec-websocket-key", b"sec-websocket-version"})
"""They travel, and are looked at."""
TWINS_OF: Final = (
    REPLACED | HOP_BY_HOP | ABOUT_THE_WAY | frozenset({b"via", b"x-tenant", b"authorization", b"idempotency-key"})
)
"""`X_Tenant` and `X-Tenant` are one variable to a CGI-style server: twins of headers that matter are dropped."""
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}\Z")
VIA: Final = b"cellway"

FROM_CELLS: Final = Vocabulary(
    travelling=(b"date", b"content-type", b"sec-websocket-accept"),
    staying=HOP_BY_HOP | FRAMING | {b"server", b"x-powered-by", b"x-request-id"},
    staying_prefixes=(OURS,),
)
"""Of a response stays: what belongs to the connection, what is written anew, and what tells which software runs.
"""


def from_clients(tenant_header: bytes, *, trusted: bool) -> Vocabulary:
    """What a request's headers mean. `trusted`: the client is a proxy whose word about the way is believed."""
    return Vocabulary(
        travelling=SEEN | ({tenant_header} | ABOUT_THE_WAY if trusted else {tenant_header}),
        staying=HOP_BY_HOP | REPLACED | APPENDED | (frozenset() if trusted else ABOUT_THE_WAY),
        once=(*AT_MOST_ONCE, tenant_header),
        staying_prefixes=(OURS,) if trusted else (OURS, b"x-forwarded-"),
        twins=TWINS_OF | {tenant_header},
        twin_prefixes=(OURS, b"x-forwarded-"),
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent the request, as the router sees it. `trusted` says that its word about the way is believed."""

    address: bytes
    scheme: bytes = b"http"
    trusted: bool = False


def given_id(named: Named) -> bytes | None:
    """The client's request id when there is exactly one and it is well-formed."""
    given = named.get(b"x-request-id")
    return given[0] if given is not None and len(given) == 1 and _REQUEST_ID.match(given[0]) else None


def given_trace(named: Named) -> bytes | None:
    """The client's lines of W3C Trace Context when they are valid: they stay, for the router makes no spans."""
    parents = named.get(b"traceparent")
    if parents is None or len(parents) != 1 or not traces.valid_parent(parents[0]):
        return None
    states = named.get(b"tracestate", ())
    kept = [b"tracestate: " + state for state in states] if traces.valid_state(states) else []
    return b"\r\n".join([b"traceparent: " + parents[0], *kept, b""])


def came_round(named: Named, via: bytes) -> bool:
    """Whether the router that is called `via` has passed this request on before (RFC 9110 section 7.6.3)."""
    stations = [station.split() for line in named.get(b"via", ()) for station in line.split(b",")]
    return any(len(parts) > 1 and parts[1] == via for parts in stations)


def about_the_way(head: Head, found: Identified, client: Client, via: bytes) -> bytes:
    """The lines that tell a cell which way the request came. `via` is this router's name in `Via`."""
    before: Named = head.named if client.trusted else {}
    chain = b", ".join([*before.get(b"x-forwarded-for", ()), client.address])
    scheme = next(iter(before.get(b"x-forwarded-proto", ())), client.scheme)
    host = next(iter(before.get(b"x-forwarded-host", ())), found.host or b"")
    lines = [b"X-Forwarded-For: " + chain, b"X-Forwarded-Proto: " + scheme, b"X-Forwarded-Host: " + host]
    prefix = b"".join([*before.get(b"x-forwarded-prefix", ()), found.prefix or b""])
    if prefix:
        lines.append(b"X-Forwarded-Prefix: " + prefix)
    # `Forwarded` is a list over all its lines (RFC 7239 section 4), so ours is one more line.
    lines.append(b"Forwarded: " + _forwarded(client, found.host))
    lines.append(b"Via: 1.%d %b\r\n" % (head.minor, via))
    return b"\r\n".join(lines)


def _forwarded(client: Client, host: bytes | None) -> bytes:
    node = b'"[%b]"' % client.address if b":" in client.address else client.address
    said = b';host="%b"' % host if host else b""
    return b"for=%b%b;proto=%b" % (node, said, client.scheme)


def stamp(tenant: bytes, epoch: int) -> bytes:
    """The lines by which a cell knows for whom it is asked, and at which epoch."""
    return b"Cellway-Tenant: %b\r\nCellway-Epoch: %d\r\n" % (tenant, epoch)


def request_bytes(
    method: bytes, target: bytes, *, lead: bytes, way: bytes, stamp: bytes, trace: bytes, ident: bytes, last: bytes
) -> bytes:
    """A request's head for a cell. From `lead`, which begins with `Host`, all but `ident` are whole lines."""
    return b"%b %b HTTP/1.1\r\n%b%b%b%bX-Request-Id: %b\r\n%b\r\n" % (
        method, target, lead, way, stamp, trace, ident, last,
    )  # fmt: skip


def fresh_trace(fresh: bytes) -> bytes:
    """The line of a trace that begins here. `fresh`: 32 hexadecimal digits, of which half are the span's."""
    return b"traceparent: %b\r\n" % traces.fresh_parent(fresh)


UPGRADE: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def framing_line(framing: Framing) -> bytes:
    """The line that says how the body ends."""
    if framing.length_bytes is not None:
        return b"Content-Length: %d\r\n" % framing.length_bytes
    return b"Transfer-Encoding: chunked\r\n" if framing.chunked else b""


def shown_framing(
    method: bytes, status: int, framing: Framing | None, length: bytes | None, *, chunked: bool
) -> bytes:
    """The line by which the client is told how the body ends. `chunked`: the router sends it so."""
    if status in STATUSES_WITHOUT_BODY or method == b"HEAD":
        # A length may say how long the body would be; it says nothing with 204 (RFC 9110 section 8.6).
        return b"Content-Length: %b\r\n" % length if length is not None and status != 204 else b""
    if chunked:
        return b"Transfer-Encoding: chunked\r\n"
    return b"" if framing is None or framing.chunked else framing_line(framing)


def connection_line(minor: int, *, keep_alive: bool) -> bytes:
    """What is said about the client's connection, where the version's default does not say it."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if minor else b"Connection: keep-alive\r\n"


def own_lines(status: int, reason: bytes, lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first lines of a response of the router's own."""
    return b"HTTP/1.1 %d %b\r\n%b" % (status, reason, b"".join([b"%b: %b\r\n" % line for line in lines]))
