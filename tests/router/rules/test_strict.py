"""What is refused before anything is decided."""

import pytest

from router.rules import strict
from router.rules.head import Framing, RequestHead, ResponseHead
from tests.router.rules.heads import head

CHUNKED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    "request_head",
    [
        head((b"Content-Length", b"1"), CHUNKED),
        head((b"Content-Length", b"1"), (b"content-length", b"1")),
        head((b"Content-Length", b"1"), (b"Content-Length", b"2")),
        head((b"Content-Length", b"+1")),
        head((b"Content-Length", b"-1")),
        head((b"Content-Length", b"0x1")),
        head((b"Content-Length", b"1, 1")),
        head((b"Content-Length", b"")),
        head((b"Content-Length", b"1" * 19)),
        head((b"Transfer-Encoding", b"gzip, chunked")),
        head((b"Transfer-Encoding", b"chunked, chunked")),
        head((b"Transfer-Encoding", b"identity")),
        head((b"Transfer-Encoding", b"xchunked")),
        head((b"Transfer-Encoding", b"")),
        head(CHUNKED, CHUNKED),
        head(CHUNKED, version=(1, 0)),
        head(host=None),
        head((b"host", b"other")),
        head(host=b""),
        head(host=b"a b"),
        head(host=b"a/b"),
        head(host=b"a@b"),
        head(host=b"a:b"),
        head(host=b"a:1:2"),
        head(host=b"a,b"),
        head(host=b"caf\xc3\xa9"),
        head(host=b"[::1"),
        head(target=b"/a b"),
        head(target=b"/a\tb"),
        head(target=b"/a\x00b"),
        head(target=b"/a\x7fb"),
        head(target=b"/a\rb"),
        head(target=b"/caf\xc3\xa9"),
        head(target=b"/a#b"),
        head(target=b""),
        head(target=b"a"),
        head(target=b"*"),
        head(target=b"ftp://a/"),
        head(target=b"http:///a"),
        head(target=b"http://user@a/"),
        head(target=b"http://a b/"),
        head(method=b"CONNECT", target=b"example.com:443"),
        head(method=b"TRACE"),
        head(method=b"G ET"),
        head(method=b""),
        head(version=(0, 9)),
        head(version=(1, 2)),
        head(version=(2, 0)),
        head((b"Name ", b"v")),
        head((b"Na me", b"v")),
        head((b"", b"v")),
        head((b"N\xc3\xa9", b"v")),
        head((b"N", b"a\x00b")),
        head((b"N", b"a\rb")),
        head((b"N", b"a\nb")),
        head((b"N", b"a\x1bb")),
        head((b"N", b"a\x7fb")),
        head((b"Authorization", b"a"), (b"authorization", b"b")),
        head((b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(request_head: RequestHead) -> None:
    """Every refusal says why."""
    assert strict.request_fault(request_head)


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(host=b"a.example:80"),
        head(host=b"[::1]:80"),
        head(host=b"under_score.example"),
        head(host=None, version=(1, 0)),
        head(target=b"*", method=b"OPTIONS"),
        head(target=b"http://a.example:80/x?y"),
        head(target=b"//x/../%2e%zz?a?b\"<>^`{|}\\'"),
        head((b"Content-Length", b"007")),
        head((b"N", b"caf\xe9 \xff\tx")),
        head((b"N", b""), (b"N", b"")),
        head(method=b"BREW"),
        head((b"Transfer-Encoding", b"CHUNKED")),
    ],
)
def test_what_is_merely_unusual_passes(request_head: RequestHead) -> None:
    """Strictness is about ambiguity, not about taste."""
    assert strict.request_fault(request_head) is None


@pytest.mark.parametrize(
    "response",
    [
        ResponseHead(101, b"Switching Protocols", ()),
        ResponseHead(100, b"Continue", ()),
        ResponseHead(999, b"", ()),
        ResponseHead(200, b"O\x00K", ()),
        ResponseHead(200, b"OK", ((b"Content-Length", b"1"), (b"Content-Length", b"1"))),
        ResponseHead(200, b"OK", ((b"Content-Length", b"1"), CHUNKED)),
        ResponseHead(200, b"OK", ((b"Content-Length", b"1x"),)),
        ResponseHead(200, b"OK", ((b"Transfer-Encoding", b"gzip"),)),
        ResponseHead(200, b"OK", ((b"N", b"a\rb"),)),
        ResponseHead(200, b"OK", ((b"N ", b"a"),)),
    ],
)
def test_a_cells_response_is_checked_too(response: ResponseHead) -> None:
    """A cell may be another's software, or broken."""
    assert strict.response_fault(response)


@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        (b"GET", 200, ((b"Content-Length", b"5"),), Framing(5)),
        (b"GET", 200, (CHUNKED,), Framing(chunked=True)),
        (b"GET", 200, (), None),
        (b"HEAD", 200, ((b"Content-Length", b"5"),), Framing()),
        (b"GET", 204, (), Framing()),
        (b"GET", 304, ((b"Content-Length", b"5"),), Framing()),
    ],
)
def test_where_a_response_ends(
    method: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...], framing: Framing | None
) -> None:
    """RFC 9112 section 6.3."""
    assert strict.response_framing(method, ResponseHead(status, b"", headers)) == framing
