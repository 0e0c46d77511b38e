"""Responses' heads as they come from cells, and what is found out once about them."""

import pytest

from router.rules.head import LARGEST_HEAD_BYTES, Framing, Header
from router.rules.responses import HEADS, NotHttp, ResponseHead
from tests.router.rules.heads import block


def found(*headers: Header, line: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    return HEADS.find(b"%b\r\n%b\r\n" % (line, block(*headers)))


def test_a_status_line_is_taken_apart() -> None:
    """Into version, status and phrase."""
    head = found(line=b"HTTP/1.0 404 caf\xe9 not found")
    assert (head.minor, head.status, head.reason) == (0, 404, b"caf\xe9 not found")
    assert repr(head) == "<ResponseHead 404 1.0>"


@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.1 200 "])
def test_a_phrase_may_be_missing(line: bytes) -> None:
    """And the space before it too, which old servers leave out; a client gets one (RFC 9112 section 4)."""
    assert found(line=line).lead == b"HTTP/1.1 200 \r\n"


def test_the_version_that_a_client_is_told_is_the_routers() -> None:
    """RFC 9110 section 6.2."""
    assert found((b"A", b"1"), line=b"HTTP/1.0 200 OK").lead == b"HTTP/1.1 200 OK\r\nA: 1\r\n"


@pytest.mark.parametrize(
    ("headers", "status", "framing", "length_bytes", "usual_line"),
    [
        (((b"Content-Length", b"5"),), 200, Framing(5), 5, b"Content-Length: 5\r\n"),
        (((b"Content-Length", b"005"),), 200, Framing(5), 5, b"Content-Length: 5\r\n"),
        (((b"Content-Length", b"0"),), 200, Framing(0), 0, b"Content-Length: 0\r\n"),
        (((b"Transfer-Encoding", b"Chunked"),), 200, Framing(chunked=True), -1, b""),
        ((), 200, None, -1, b""),
        ((), 204, Framing(), 0, b""),
        (((b"Content-Length", b"5"),), 304, Framing(), 0, b"Content-Length: 5\r\n"),
    ],
)
def test_how_its_body_ends_is_found_out_with_it(
    headers: tuple[Header, ...], status: int, framing: Framing | None, length_bytes: int, usual_line: bytes
) -> None:
    """For a request that was not HEAD."""
    head = found(*headers, line=b"HTTP/1.1 %d OK" % status)
    assert (head.framing, head.length_bytes, head.usual_line) == (framing, length_bytes, usual_line)


@pytest.mark.parametrize(
    ("line", "connection", "keeps"),
    [
        (b"HTTP/1.1 200 OK", (), True),
        (b"HTTP/1.1 200 OK", (b"close",), False),
        (b"HTTP/1.1 200 OK", (b"X, CLOSE",), False),
        (b"HTTP/1.1 200 OK", (b"keep-alive", b"close"), False),
        (b"HTTP/1.0 200 OK", (), False),
        (b"HTTP/1.0 200 OK", (b"Keep-Alive",), True),
    ],
)
def test_whether_the_cell_keeps_its_connection(line: bytes, connection: tuple[bytes, ...], *, keeps: bool) -> None:
    """RFC 9112 section 9.3."""
    assert found(*[(b"Connection", each) for each in connection], line=line).keeps is keeps


@pytest.mark.parametrize(
    ("value", "events"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"text/event", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_a_stream_of_events_is_known_by_its_type(value: bytes, *, events: bool) -> None:
    """How long it takes says nothing about the cell, and it may be ended between two events."""
    assert found((b"Content-Type", value)).events is events
    assert not found().events


def test_what_connection_names_stays_behind() -> None:
    """What the head says is known all the same."""
    head = found((b"Connection", b"x-a, Date"), (b"X-A", b"1"), (b"Date", b"then"), (b"B", b"2"))
    assert head.lines == (b"B: 2",)


def test_a_date_that_stays_behind_is_written_anew() -> None:
    """A client is always told one (RFC 9110 section 6.6.1)."""
    assert found((b"Date", b"then")).dated
    assert not found().dated
    assert not found((b"Connection", b"date"), (b"Date", b"then")).dated


def test_the_same_bytes_are_read_once() -> None:
    """Most cells answer alike."""
    assert found((b"A", b"1")) is found((b"A", b"1"))
    assert found((b"A", b"1")) is not found((b"A", b"2"))


def test_what_is_not_http_is_not_remembered() -> None:
    """And a head that is too large is not HTTP here."""
    for data in (
        b"HTTP/1.1 200 OK\r\nN : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"N: v\r\n" * (LARGEST_HEAD_BYTES // 6)),
    ):
        with pytest.raises(NotHttp):
            HEADS.find(data)
        assert data not in HEADS.young


def test_interim_responses_are_heads_too() -> None:
    """What a 103 says travels."""
    head = found((b"Link", b"</a>; rel=preload"), line=b"HTTP/1.1 103 Early Hints")
    assert (head.status, head.lead) == (103, b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n")
