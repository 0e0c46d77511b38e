"""What is refused because two parsers could read it differently, or because it is not ours to pass on.

RFC 9112 lets a recipient repair much of this. A router in front of other parsers must not: what one side
repairs and the other does not is how requests are smuggled (RFC 9112 section 11.2). `head` has the grammar; here
is what heads that fit it may not say. Pure.
"""

import functools
import re
from collections.abc import Sequence
from typing import Final

from router.rules.head import (
    CHUNKED,
    LARGEST_HEAD_BYTES,
    LARGEST_LINE_BYTES,
    LINES,
    MOST_HEADERS,
    NO_BODY,
    Framing,
    Head,
    RequestLike,
    ResponseLike,
)

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z"
)
ABSOLUTE: Final = re.compile(rb"https?://([^/?@]*)([/?].*)?\Z", re.IGNORECASE)
LONGEST_HOST_BYTES: Final = 261
"""Of those that are remembered: a name of 255 (RFC 1035 section 2.3.4) and a port."""
LENGTH: Final = re.compile(rb"[0-9]{1,18}\Z")
VERSION: Final = re.compile(rb"[^\r\n]* HTTP/1\.[01]\r\n")
REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
AT_MOST_ONCE: Final = (
    b"host",
    b"authorization",
    b"content-length",
    b"transfer-encoding",
    b"idempotency-key",
    b"expect",
)
STATUSES_WITHOUT_BODY: Final = frozenset({204, 304})


def unread_fault(data: bytes, *, complete: bool) -> tuple[int, str] | None:
    """What is wrong with bytes that the grammar of a request's head does not fit: (status, reason).

    None while more of them could make a head, which is the case until it is `complete` (an empty line came).
    """
    end = data.find(b"\r\n\r\n")
    if end > LARGEST_HEAD_BYTES or (end < 0 and len(data) > LARGEST_HEAD_BYTES):
        return 431, "the request's head is too large"
    if end < 0 and not complete:
        return None if LINES.match(data) and b"\x00" not in data else (400, "a line does not end in CR LF")
    if not VERSION.match(data):
        return 400, "this is not a request line of HTTP/1.0 or HTTP/1.1"
    return 400, "this is not HTTP/1.1 as it must be: a header's name or value, or a line's end, is malformed"


def _values(head: Head, name: bytes) -> Sequence[bytes]:
    return head.named.get(name, ())


def size_fault(head_bytes: int, count: int, data: bytes) -> str | None:
    """Why a head of `count` header lines is too large (431); None when it is not. `data` begins with it."""
    if head_bytes > LARGEST_HEAD_BYTES:
        return "the request's head is too large"
    if count > MOST_HEADERS:
        return "the request has too many headers"
    if head_bytes > LARGEST_LINE_BYTES:
        lines = data[:head_bytes].split(b"\r\n")
        if any(len(line) > LARGEST_LINE_BYTES for line in lines):
            return "a line of the request's head is too long"
    return None


def request_fault(head: RequestLike) -> str | None:
    """Why this request is refused with 400 and its connection closed; None when it is sound."""
    if head.method in REFUSED_METHODS:
        return "this method is not passed on"
    named = head.named
    hosts = named.get(b"host")
    if hosts is None:
        if head.minor:
            return "the header host is missing"
    elif not is_host(hosts[0]):
        return "the header host is malformed"
    if head.target[0] != 0x2F and (fault := _target_fault(head)) is not None:
        return fault
    if b"content-length" in named or b"transfer-encoding" in named:
        return _framing_fault(head)
    return None


def is_host(value: bytes) -> bool:
    """Whether it is an authority as `Host` may give it (RFC 9110 section 7.2): no user, no odd characters."""
    return _is_host(value) if len(value) <= LONGEST_HOST_BYTES else HOST.match(value) is not None


@functools.lru_cache(4096)
def _is_host(value: bytes) -> bool:
    return HOST.match(value) is not None


def _target_fault(head: RequestLike) -> str | None:
    if head.target == b"*" and head.method == b"OPTIONS":
        return None
    absolute = ABSOLUTE.match(head.target)
    if absolute is None or not is_host(absolute[1]):
        return "the request target is malformed"
    return None


def _framing_fault(head: RequestLike) -> str | None:
    codings = _values(head, b"transfer-encoding")
    lengths = _values(head, b"content-length")
    if codings and lengths:
        return "content-length and transfer-encoding exclude each other"
    if codings and not head.minor:
        return "HTTP/1.0 has no transfer-encoding"
    if codings and codings[0].lower() != b"chunked":
        return "the only transfer-encoding passed on is chunked"
    if lengths and not LENGTH.match(lengths[0]):
        return "content-length is malformed"
    return None


def request_framing(head: RequestLike) -> Framing:
    """How the body of a sound request ends."""
    if b"transfer-encoding" in head.named:
        return CHUNKED
    lengths = head.named.get(b"content-length")
    return NO_BODY if lengths is None else Framing(int(lengths[0]))


def options(head: Head) -> frozenset[bytes]:
    """What `Connection` lists, in lower case (RFC 9110 section 7.6.1)."""
    lines = _values(head, b"connection")
    if len(lines) == 1 and (usual := _USUAL_OPTIONS.get(lines[0])) is not None:
        return usual
    return frozenset(
        word.strip(b" \t").lower() for line in lines for word in line.split(b",") if word.strip(b" \t")
    )


_USUAL_OPTIONS: Final = {
    spelled: frozenset({spelled.lower()})
    for spelled in (b"keep-alive", b"Keep-Alive", b"close", b"Close", b"upgrade", b"Upgrade")
}


def goes_on(head: Head) -> bool:
    """Whether the sender keeps the connection open after this message (RFC 9112 section 9.3)."""
    if b"connection" not in head.named:
        return head.minor == 1
    said = options(head)
    return b"close" not in said and (head.minor == 1 or b"keep-alive" in said)


def asks_upgrade(head: RequestLike) -> bool:
    """Whether the client would go on in another protocol, so that what follows may not be HTTP."""
    return b"upgrade" in head.named or (b"connection" in head.named and b"upgrade" in options(head))


def asks_websocket(head: RequestLike) -> bool:
    """Whether it is the opening handshake of RFC 6455 section 4.1, the one upgrade that is passed on."""
    if b"upgrade" not in head.named:
        return False
    return (
        head.method == b"GET"
        and head.minor == 1
        and [value.lower() for value in _values(head, b"upgrade")] == [b"websocket"]
        and b"upgrade" in options(head)
        and len(_values(head, b"sec-websocket-key")) == 1
        and b"content-length" not in head.named
        and b"transfer-encoding" not in head.named
    )


def may_wait(head: RequestLike) -> bool:
    """Whether the client would have the answer wait (RFC 7240 section 4.3): a long poll."""
    return b"prefer" in head.named and any(b"wait" in value.lower() for value in _values(head, b"prefer"))


def unexpected(head: RequestLike) -> bool:
    """Whether `Expect` asks for something that nobody here can do (RFC 9110 section 10.1.1)."""
    return b"expect" in head.named and any(value.lower() != b"100-continue" for value in _values(head, b"expect"))


def awaits_continue(head: RequestLike) -> bool:
    """Whether the client holds its body back until it is told to go on. HTTP/1.0 clients are not told."""
    return b"expect" in head.named and head.minor == 1


def response_fault(head: ResponseLike) -> str | None:
    """Why a cell's response is not passed on; None when it is sound."""
    named = head.named
    lengths = named.get(b"content-length")
    codings = named.get(b"transfer-encoding")
    if lengths is not None and (len(lengths) > 1 or codings is not None or not LENGTH.match(lengths[0])):
        return "the response's length is ambiguous"
    if codings is not None and (not head.minor or len(codings) > 1 or codings[0].lower() != b"chunked"):
        return "the response has a transfer-encoding other than chunked, or of HTTP/1.0"
    return "the response has too many headers" if head.count > MOST_HEADERS else None


def response_framing(method: bytes, head: ResponseLike) -> Framing | None:
    """How the body of a sound response ends; None: with the connection (RFC 9112 section 6.3)."""
    if method == b"HEAD" or head.status in STATUSES_WITHOUT_BODY:
        return NO_BODY
    lengths = head.named.get(b"content-length")
    if lengths is not None:
        return Framing(int(lengths[0]))
    return CHUNKED if b"transfer-encoding" in head.named else None
