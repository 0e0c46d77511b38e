"""The headers that are passed on, both ways, and heads as bytes. Pure.

What a client says about itself and about the way it came is replaced by what the router knows, unless the client
is a proxy that is trusted. Nothing that belongs to one connection travels on (RFC 9110 section 7.6.1).
"""

import re
from dataclasses import dataclass

from router.rules.head import Framing, Header, RequestHead, ResponseHead
from router.rules.identify import Identified

HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip
OURS = b"cellway-"
"""Headers between router and cell begin so. A client's are dropped, and a cell's are not shown."""
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
REPLACED = frozenset({b"host", b"expect", b"x-request-id"}) | FRAMING
STAYS = HOP_BY_HOP | REPLACED
ABOUT_THE_WAY = frozenset({b"forwarded", b"x-real-ip"})
TWINS_OF = (
    REPLACED | HOP_BY_HOP | ABOUT_THE_WAY | frozenset({b"via", b"x-tenant", b"authorization", b"idempotency-key"})
)
"""`X_Tenant` and `X-Tenant` are one variable to a CGI-style server: twins of headers that matter are dropped."""
HIDDEN = HOP_BY_HOP | FRAMING | frozenset({b"server", b"x-powered-by", b"x-request-id"})
"""Of a response: what belongs to the connection, what is written anew, and what tells which software runs."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}\Z")
VIA = b"cellway"


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent the request, as the router sees it. `trusted` says that its word about the way is believed."""

    address: bytes
    scheme: bytes = b"http"
    trusted: bool = False


def request_id(head: RequestHead, fresh: bytes) -> bytes:
    """The client's request id when there is exactly one and it is well-formed, else `fresh`."""
    given = head.values(b"x-request-id")
    return given[0] if len(given) == 1 and _REQUEST_ID.match(given[0]) else fresh


def for_cell(
    head: RequestHead,
    found: Identified,
    client: Client,
    *,
    ident: bytes,
    epoch: int,
    tenant_header: bytes = b"",
    via: bytes = VIA,
) -> list[Header]:
    """The headers that a cell gets, without those that frame the body. `via` is this router's name in `Via`."""
    own = named_by_connection(head)
    twin = tenant_header.replace(b"-", b"_")
    if twin != tenant_header:
        own |= {twin}
    kept = [header for header in head.headers if _travels(header[0].lower(), own, client.trusted)]
    passed = [(b"Host", found.host or b""), *kept]
    passed += _about_the_way(head, found, client)
    return [
        *passed,
        (b"Via", b"%d.%d %s" % (*head.version, via)),
        (b"X-Request-Id", ident),
        (b"Cellway-Tenant", found.tenant.encode()),
        (b"Cellway-Epoch", b"%d" % epoch),
    ]


def came_round(head: RequestHead, via: bytes) -> bool:
    """Whether the router that is called `via` has passed this request on before (RFC 9110 section 7.6.3)."""
    stations = (station.split() for line in head.values(b"via") for station in line.split(b","))
    return any(len(parts) > 1 and parts[1] == via for parts in stations)


def _travels(lower: bytes, own: frozenset[bytes], trusted: bool) -> bool:
    """Whether a client's header goes on; `own` are those that are meant for its connection only."""
    if lower in STAYS or lower in own or lower.startswith(OURS):
        return False
    if lower in ABOUT_THE_WAY or lower.startswith(b"x-forwarded-"):
        return trusted and lower not in _APPENDED  # those are written anew, with our part at the end
    return b"_" not in lower or not _is_twin(lower.replace(b"_", b"-"))


def _is_twin(hyphened: bytes) -> bool:
    return hyphened in TWINS_OF or hyphened.startswith((OURS, b"x-forwarded-"))


_APPENDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix"})


def named_by_connection(head: RequestHead | ResponseHead) -> frozenset[bytes]:
    """The names that `Connection` lists: they are meant for this connection only."""
    lines = head.values(b"connection")
    return frozenset(word.strip().lower() for line in lines for word in line.split(b",") if word.strip())


def _about_the_way(head: RequestHead, found: Identified, client: Client) -> list[Header]:
    before = head.named if client.trusted else {}
    chain = b", ".join([*before.get(b"x-forwarded-for", ()), client.address])
    scheme = next(iter(before.get(b"x-forwarded-proto", ())), client.scheme)
    host = next(iter(before.get(b"x-forwarded-host", ())), found.host or b"")
    prefix = b"".join([*before.get(b"x-forwarded-prefix", ()), found.prefix or b""])
    way = [(b"X-Forwarded-For", chain), (b"X-Forwarded-Proto", scheme), (b"X-Forwarded-Host", host)]
    if prefix:
        way.append((b"X-Forwarded-Prefix", prefix))
    # `Forwarded` is a list over all its lines (RFC 7239 section 4), so ours is one more line.
    return [*way, (b"Forwarded", _forwarded(client, found.host))]


def _forwarded(client: Client, host: bytes | None) -> bytes:
    node = b'"[%s]"' % client.address if b":" in client.address else client.address
    said = b';host="%s"' % host if host else b""
    return b"for=%s%s;proto=%s" % (node, said, client.scheme)


def framed(headers: list[Header], framing: Framing) -> list[Header]:
    """The headers with the one that says how the body ends."""
    if framing.chunked:
        return [*headers, (b"Transfer-Encoding", b"chunked")]
    if framing.length_bytes is not None:
        return [*headers, (b"Content-Length", b"%d" % framing.length_bytes)]
    return headers


def request_bytes(method: bytes, target: bytes, headers: list[Header]) -> bytes:
    """A request's head for a cell."""
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, _lines(headers))


def for_client(head: ResponseHead, *, ident: bytes, date: bytes) -> list[Header]:
    """The headers of a cell's response that a client gets, without those that frame the body."""
    hidden = HIDDEN | named_by_connection(head)
    passed = [
        header
        for header in head.headers
        if (lower := header[0].lower()) not in hidden and not lower.startswith(OURS)
    ]
    if not head.values(b"date"):
        passed.append((b"Date", date))
    return [*passed, (b"X-Request-Id", ident)]


def connection(version: tuple[int, int], keep_alive: bool) -> list[Header]:
    """What is said about the client's connection, where the version's default does not say it."""
    if not keep_alive:
        return [(b"Connection", b"close")]
    return [(b"Connection", b"keep-alive")] if version == (1, 0) else []


def response_bytes(status: int, reason: bytes, headers: list[Header]) -> bytes:
    """A response's head for a client. The version is the sender's own (RFC 9110 section 6.2)."""
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, _lines(headers))


def _lines(headers: list[Header]) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])
