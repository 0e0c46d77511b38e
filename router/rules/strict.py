"""What is refused because two parsers could read it differently, or because it is not ours to pass on.

RFC 9112 lets a recipient repair much of this. A router in front of other parsers must not: what one side
repairs and the other does not is how requests are smuggled (RFC 9112 section 11.2). Pure.
"""

import re

from router.rules.head import Framing, RequestHead, ResponseHead

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+\Z")
"""Visible ASCII without `#`: a fragment never travels (RFC 9112 section 3.2)."""
HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
ABSOLUTE = re.compile(rb"https?://([^/?@]*)([/?].*)?\Z", re.IGNORECASE)
LENGTH = re.compile(rb"[0-9]{1,18}\Z")
REFUSED_METHODS = frozenset({b"CONNECT", b"TRACE"})
VERSIONS = frozenset({(1, 0), (1, 1)})
AT_MOST_ONCE = (b"host", b"authorization", b"content-length", b"transfer-encoding", b"idempotency-key", b"expect")
LARGEST_HEAD_BYTES = 65_536
NO_BODY = frozenset({204, 304})


def request_fault(head: RequestHead, at_most_once: tuple[bytes, ...] = AT_MOST_ONCE) -> str | None:
    """Why this request is refused with 400 and its connection closed; None when it is sound."""
    if head.version not in VERSIONS:
        return "only HTTP/1.0 and HTTP/1.1 are spoken here"
    if not TOKEN.match(head.method) or head.method in REFUSED_METHODS:
        return "this method is not passed on"
    return (
        _headers_fault(head.headers)
        or _repeated(head, at_most_once)
        or _target_fault(head)
        or _framing_fault(head)
    )


def _headers_fault(headers: tuple[tuple[bytes, bytes], ...]) -> str | None:
    for name, value in headers:
        if not TOKEN.match(name):
            return "a header's name holds characters that it must not"
        if not VALUE.match(value):
            return "a header's value holds control characters"
    return None


def _repeated(head: RequestHead, names: tuple[bytes, ...]) -> str | None:
    for name in names:
        if len(head.values(name)) > 1:
            return f"the header {name.decode()} is given more than once"
    return None


def _target_fault(head: RequestHead) -> str | None:
    hosts = head.values(b"host")
    if head.version == (1, 1) and not hosts:
        return "the header host is missing"
    if hosts and not HOST.match(hosts[0]):
        return "the header host is malformed"
    if not TARGET.match(head.target):
        return "the request target holds characters that must be percent-encoded"
    if head.target.startswith(b"/") or (head.target == b"*" and head.method == b"OPTIONS"):
        return None
    absolute = ABSOLUTE.match(head.target)
    if absolute is None or not HOST.match(absolute[1]):
        return "the request target is malformed"
    return None


def _framing_fault(head: RequestHead) -> str | None:
    codings = head.values(b"transfer-encoding")
    lengths = head.values(b"content-length")
    if codings and lengths:
        return "content-length and transfer-encoding exclude each other"
    if codings and head.version != (1, 1):
        return "HTTP/1.0 has no transfer-encoding"
    if codings and codings[0].lower() != b"chunked":
        return "the only transfer-encoding passed on is chunked"
    if lengths and not LENGTH.match(lengths[0]):
        return "content-length is malformed"
    return None


def request_framing(head: RequestHead) -> Framing:
    """How the body of a sound request ends."""
    if head.values(b"transfer-encoding"):
        return Framing(chunked=True)
    lengths = head.values(b"content-length")
    return Framing(int(lengths[0]) if lengths else None)


def too_large(head: RequestHead) -> bool:
    """Whether all of a head together is more than is looked at, though each line of it is not."""
    size = len(head.method) + len(head.target) + 12
    return size + sum(len(name) + len(value) + 4 for name, value in head.headers) > LARGEST_HEAD_BYTES


def asks_upgrade(head: RequestHead) -> bool:
    """Whether the client would go on in another protocol, so that what follows may not be HTTP."""
    options = head.values(b"connection")
    named = any(option.strip().lower() == b"upgrade" for line in options for option in line.split(b","))
    return named or bool(head.values(b"upgrade"))


def unexpected(head: RequestHead) -> bool:
    """Whether `Expect` asks for something that nobody here can do (RFC 9110 section 10.1.1)."""
    return any(value.lower() != b"100-continue" for value in head.values(b"expect"))


def awaits_continue(head: RequestHead) -> bool:
    """Whether the client holds its body back until it is told to go on. HTTP/1.0 clients are not told."""
    return head.version == (1, 1) and bool(head.values(b"expect"))


def response_fault(head: ResponseHead) -> str | None:
    """Why a cell's response is not passed on; None when it is sound."""
    if head.version not in VERSIONS:
        return "the response is neither HTTP/1.0 nor HTTP/1.1"
    if not 200 <= head.status <= 599:
        return f"status {head.status} was not asked for"
    if not VALUE.match(head.reason):
        return "the reason phrase holds control characters"
    lengths = head.values(b"content-length")
    codings = head.values(b"transfer-encoding")
    if len(lengths) > 1 or (lengths and codings) or (lengths and not LENGTH.match(lengths[0])):
        return "the response's length is ambiguous"
    if codings and head.version != (1, 1):
        return "HTTP/1.0 has no transfer-encoding"
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        return "the response has a transfer-encoding other than chunked"
    return _headers_fault(head.headers)


def response_framing(method: bytes, head: ResponseHead) -> Framing | None:
    """How the body of a sound response ends; None: with the connection (RFC 9112 section 6.3)."""
    if method == b"HEAD" or head.status in NO_BODY:
        return Framing()
    if head.values(b"transfer-encoding"):
        return Framing(chunked=True)
    lengths = head.values(b"content-length")
    return Framing(int(lengths[0])) if lengths else None
