"""What is refused before anything is decided."""

import pytest

from router.rules import strict
from router.rules.head import LARGEST_HEAD_BYTES, Framing, Header
from router.rules.requests import RequestHead
from router.rules.responses import HEADS, NotHttp, ResponseHead
from tests.router.rules.heads import block, head, read, written

CHUNKED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    "data",
    [
        written(target=b"/a b"),
        written(target=b"/a\tb"),
        written(target=b"/a\x00b"),
        written(target=b"/a\x7fb"),
        written(target=b"/a\rb"),
        written(target=b"/caf\xc3\xa9"),
        written(target=b"/a#b"),
        written(target=b"http://a b/"),
        written(target=b""),
        written(method=b"G ET"),
        written(method=b""),
        written(version=b"0.9"),
        written(version=b"1.2"),
        written(version=b"2.0"),
        written((b"Name ", b"v")),
        written((b"Na me", b"v")),
        written((b"", b"v")),
        written((b"N\xc3\xa9", b"v")),
        written((b"N", b"a\x00b")),
        written((b"N", b"a\rb")),
        written((b"N", b"a\nb")),
        written((b"N", b"a\x1bb")),
        written((b"N", b"a\x7fb")),
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_does_not_fit_the_grammar_is_no_head(data: bytes) -> None:
    """Nothing is repaired (RFC 9112 section 2.2 and 5), and the answer says what is wrong."""
    assert read(data) is None
    status, reason = strict.unread_fault(data, complete=True) or (0, "")
    assert (status, bool(reason)) == (400, True)


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
        head(CHUNKED, version=b"1.0"),
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
        head(target=b"a"),
        head(target=b"*"),
        head(target=b"ftp://a/"),
        head(target=b"http:///a"),
        head(target=b"http://user@a/"),
        head(method=b"CONNECT", target=b"example.com:443"),
        head(method=b"TRACE"),
        head((b"Authorization", b"a"), (b"authorization", b"b")),
        head((b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(request_head: RequestHead) -> None:
    """Every refusal says why."""
    assert request_head.fields.fault or strict.request_fault(request_head)
    assert not request_head.fields.plain


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(host=b"a.example:80"),
        head(host=b"[::1]:80"),
        head(host=b"under_score.example"),
        head(host=None, version=b"1.0"),
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
    assert request_head.fields.fault is None
    assert strict.request_fault(request_head) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 999 \r\n\r\n",
        b"HTTP/1.1 099 \r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nN: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nN : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nN: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\nN: a\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_a_cells_response_must_fit_the_grammar_too(data: bytes) -> None:
    """A cell may be another's software, or broken."""
    with pytest.raises(NotHttp):
        HEADS.find(data)


def response(*headers: Header, status: int = 200, minor: int = 1) -> ResponseHead:
    return ResponseHead(minor, status, b"OK", block(*headers))


@pytest.mark.parametrize(
    "response_head",
    [
        response((b"Content-Length", b"1"), (b"Content-Length", b"1")),
        response((b"Content-Length", b"1"), CHUNKED),
        response((b"Content-Length", b"1x")),
        response((b"Transfer-Encoding", b"gzip")),
        response(CHUNKED, CHUNKED),
        response(CHUNKED, minor=0),
        response(*[(b"N", b"1")] * 129),
    ],
)
def test_a_response_that_could_be_read_in_two_ways_is_not_passed_on(response_head: ResponseHead) -> None:
    """Its body's end is never guessed, and nothing takes it for one that is sound."""
    assert strict.response_fault(response_head)
    assert response_head.fault == strict.response_fault(response_head)
    assert (response_head.framing, response_head.length_bytes) == (None, -1)


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
    method: bytes, status: int, headers: tuple[Header, ...], framing: Framing | None
) -> None:
    """RFC 9112 section 6.3."""
    assert strict.response_framing(method, response(*headers, status=status)) == framing


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"G", None),
        (b"GET / HTTP/1.1\r\nHost: a\r", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", None),
        (b"GET / HTTP/1.1\nHost: a", 400),
        (b"GET / HTTP/1.1\rHost: a", 400),
        (b"\x16\x03\x01\x00", 400),
        (b"a" * (LARGEST_HEAD_BYTES + 1), 431),
    ],
)
def test_what_is_no_head_yet_is_refused_as_soon_as_it_cannot_become_one(data: bytes, fault: int | None) -> None:
    """Whoever speaks another protocol waits for no deadline."""
    found = strict.unread_fault(data, complete=False)
    assert (found and found[0]) == fault


@pytest.mark.parametrize(
    ("data", "count", "sound"),
    [
        (written((b"N", b"v" * 16_000)), 2, True),
        (written((b"N", b"v" * 16_385)), 2, False),
        (written(target=b"/" + b"v" * 16_385), 1, False),
        (written(*[(b"N", b"v" * 16_000)] * 4), 5, True),
        (written(*[(b"N", b"v" * 16_000)] * 5), 6, False),
        (written(), 128, True),
        (written(), 129, False),
    ],
)
def test_a_head_is_bounded_in_bytes_lines_and_each_line(data: bytes, count: int, *, sound: bool) -> None:
    """All of them are 431 (RFC 6585 section 5)."""
    assert (strict.size_fault(len(data) - 4, count, data) is None) is sound
