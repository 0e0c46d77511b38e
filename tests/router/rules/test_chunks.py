"""Chunked bodies, taken apart strictly and as they arrive."""

import re

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.chunks import (
    LARGEST_SIZE_LINE_BYTES,
    LARGEST_TRAILERS_BYTES,
    MOST_TRAILERS,
    Chunks,
    Malformed,
    framed,
    last_chunk,
)

TOKEN = st.from_regex(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,8}", fullmatch=True)
QUOTED = st.from_regex(re.compile(rb'"(?:[ \t!#-\[\]-~\x80-\xff]|\\[ \t!-~])*"'), fullmatch=True)
EXTENSION = st.one_of(
    TOKEN.map(lambda name: b";" + name),
    st.tuples(TOKEN, st.one_of(TOKEN, QUOTED)).map(lambda pair: b"; %b = %b" % pair),
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """(a sound chunked body, its payload, its trailers)."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    trailers = draw(st.lists(st.tuples(TOKEN.map(lambda name: b"N-" + name), TOKEN), max_size=3))
    wire = b""
    for piece in pieces:
        size = draw(st.sampled_from([b"%x", b"%X", b"%08x"])) % len(piece)
        extensions = b"".join(draw(st.lists(EXTENSION, max_size=2)))
        wire += size + extensions + b"\r\n" + piece + b"\r\n"
    return wire + last_chunk(trailers), b"".join(pieces), trailers


def taken(wire: bytes, cuts: list[int]) -> tuple[bytes, bool, bytes, list[tuple[bytes, bytes]]] | None:
    """What comes of `wire`, fed in parts; None when it is refused."""
    chunks, payload = Chunks(), b""
    ends = [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    try:
        for begin, end in zip([0, *ends], ends, strict=False):
            payload += chunks.feed(wire[begin:end])
    except Malformed:
        return None
    return payload, chunks.complete, chunks.rest, chunks.trailers


@given(bodies(), st.binary(max_size=20), st.lists(st.integers(min_value=0), max_size=30))
def test_how_a_body_is_split_does_not_matter(
    body: tuple[bytes, bytes, list[tuple[bytes, bytes]]], after: bytes, cuts: list[int]
) -> None:
    """TCP knows no boundaries: payload, trailers and rest are the same for any split."""
    wire, payload, trailers = body
    assert taken(wire + after, cuts) == (payload, True, after, trailers)
    assert taken(wire + after, list(range(len(wire + after)))) == (payload, True, after, trailers)


CRUMBS = [
    b"0",
    b"1",
    b"2",
    b"f",
    b"\r\n",
    b"\r",
    b"\n",
    b";",
    b"a",
    b'="',
    b'"',
    b":",
    b" ",
    b"x",
    b"\x00",
    b"A: b",
]


@given(
    st.lists(st.sampled_from(CRUMBS), max_size=16).map(b"".join), st.lists(st.integers(min_value=0), max_size=8)
)
def test_how_nonsense_is_split_does_not_matter(wire: bytes, cuts: list[int]) -> None:
    """A verdict that hung on packet boundaries would be a way around the verdict."""
    assert taken(wire, cuts) == taken(wire, [])


@given(bodies())
def test_the_payload_is_what_another_parser_finds(body: tuple[bytes, bytes, list[tuple[bytes, bytes]]]) -> None:
    """h11 is the oracle for sound bodies."""
    wire, _, _ = body
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    server.next_event()
    payload = b""
    while isinstance(event := server.next_event(), h11.Data):
        payload += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    found = taken(wire, [])
    assert found is not None
    assert found[0] == payload
    assert [(name.lower(), value) for name, value in found[3]] == [tuple(pair) for pair in event.headers]


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.tuples(TOKEN.map(lambda n: b"N" + n), TOKEN)))
def test_what_is_framed_here_is_understood_here(pieces: list[bytes], trailers: list[tuple[bytes, bytes]]) -> None:
    """An empty piece is no chunk: it would be the last."""
    wire = b"".join(map(framed, pieces)) + last_chunk(trailers)
    assert taken(wire, []) == (b"".join(pieces), True, b"", trailers)


@pytest.mark.parametrize(
    "wire",
    [
        b"5\nhello\n0\n\n",
        b"5\nhello",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\rX",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"5\rX",
        b"\r\n",
        b"g\r\n",
        b"g",
        b"0x5\r\nhello\r\n",
        b"+5\r\n",
        b"-5\r\n",
        b"5_0\r\n",
        b" 5\r\n",
        b"5 \r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"5 ;a\r\nhello\r\n",
        b"5\x0b\r\nhello\r\n",
        b"\xef\xbc\x95\r\nhello\r\n",
        b"1" * 16 + b"\r\n",
        b"1" * 16,
        b"0" * 16 + b"\r\n\r\n",
        b"5;\r\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;=a\r\nhello\r\n",
        b"5;a b\r\nhello\r\n",
        b"5;a \r\nhello\r\n",
        b'5;a="b\r\nhello\r\n',
        b'5;a="b"c\r\nhello\r\n',
        b"5;a\x00b\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;a\nb",
        b'5;a="\n"\r\nhello\r\n',
        b'5;a="\x7f"\r\nhello\r\n',
        b"5;" + b"a" * LARGEST_SIZE_LINE_BYTES + b"\r\nhello\r\n",
        b"5;" + b"a" * LARGEST_SIZE_LINE_BYTES,
        b"0\r\nA: b\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA b\r\n\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\n\tA",
        b"0\r\nA: b\r\n\tc",
        b"0\r\nA: b\x00\r\n\r\n",
        b"0\r\nA: b\rc\r\n\r\n",
        b"0\r\nA: b\x7f\r\n\r\n",
        b"0\r\nN\xc3\xa9: b\r\n\r\n",
        b"0\r\nA: b\x01",
        b"0\r\n\n",
        b"0\r\n" + b"A: b\r\n" * (MOST_TRAILERS + 1) + b"\r\n",
        b"0\r\nA:" + b"b" * (LARGEST_TRAILERS_BYTES - 3) + b"\r\n\r\n",
        b"0\r\nA:" + b"b" * LARGEST_TRAILERS_BYTES,
    ],
)
def test_nothing_is_repaired(wire: bytes) -> None:
    """What another parser might read otherwise is refused, whole or byte by byte, as soon as it shows."""
    assert taken(wire, []) is None
    assert taken(wire, list(range(len(wire)))) is None


@pytest.mark.parametrize(
    "name",
    [
        b"Transfer-Encoding", b"Content-Length", b"HOST", b"Connection", b"Keep-Alive", b"Proxy-Authorization",
        b"Proxy-Anything", b"TE", b"Trailer", b"Upgrade", b"Authorization", b"Cookie", b"Set-Cookie",
        b"Content-Encoding", b"Content-Type", b"Content-Range", b"Expect", b"Max-Forwards", b"Cache-Control",
        b"If-Match", b"Range", b"Via", b"Forwarded", b"X-Forwarded-For", b"X-Real-IP", b"X-Request-Id",
        b"Idempotency-Key", b"X-Tenant", b"Cellway-Epoch", b"Cellway_Epoch", b"x_tenant", b"Content_Length",
        b"x_forwarded-for",
    ],
)  # fmt: skip
def test_a_field_that_matters_is_no_trailer(name: bytes) -> None:
    """Whoever merges trailers into headers would be told another length, host, tenant or key."""
    assert taken(b"0\r\n" + name + b": 1\r\n\r\n", []) is None


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (b"0\r\n\r\n", (b"", True, b"", [])),
        (b"000000000000000\r\n\r\n", (b"", True, b"", [])),
        (b"00000000000000a\r\n0123456789\r\n0;last\r\n\r\n", (b"0123456789", True, b"", [])),
        (b'2;a;b=c; d = "e;\\"\r"\r\n', None),
        (b'2;a;b=c; d = "e;\\"\xe9" ;f\r\nhi\r\n0\r\n\r\n', (b"hi", True, b"", [])),
        (b"2\r\n\r\n\r\n0\r\n\r\n", (b"\r\n", True, b"", [])),
        (b"0\r\nA:  b\tc \r\nA:\r\n\r\nGET", (b"", True, b"GET", [(b"A", b"b\tc"), (b"A", b"")])),
        (b"0\r\n" + b"A: b\r\n" * MOST_TRAILERS + b"\r\n", (b"", True, b"", [(b"A", b"b")] * MOST_TRAILERS)),
        (b"fffffffffffffff\r\nhi", (b"hi", False, b"", [])),
        (b"2\r\nhi\r\n", (b"hi", False, b"", [])),
        (b"0\r\n", (b"", False, b"", [])),
    ],
)
def test_what_the_grammar_allows_passes(
    wire: bytes, found: tuple[bytes, bool, bytes, list[tuple[bytes, bytes]]] | None
) -> None:
    """Extensions are dropped, trailers are kept, the end is found to the byte."""
    assert taken(wire, []) == found
    assert taken(wire, list(range(len(wire)))) == found


def test_the_limits_are_exact() -> None:
    """A line and the trailers may be as large as is said, however they arrive."""
    line = b"2;" + b"a" * (LARGEST_SIZE_LINE_BYTES - 2) + b"\r\nhi\r\n"
    trailer = b"A:" + b"b" * (LARGEST_TRAILERS_BYTES - 4) + b"\r\n"
    wire = line + b"0\r\n" + trailer + b"\r\n"
    for cuts in ([], list(range(len(line))), [len(wire) - 3], [len(wire) - 2], [len(wire) - 1]):
        found = taken(wire, cuts)
        assert found is not None
        assert found[1]


def test_what_lies_amid_a_chunk_is_handed_through() -> None:
    """Large chunks cost nothing: the very object comes back."""
    chunks = Chunks()
    chunks.feed(b"fffff\r\n")
    data = b"x" * 1000
    assert chunks.feed(data) is data


def test_what_looks_like_a_chunk_is_none_after_the_last() -> None:
    """Trailers, and what comes after the end, are not taken for payload when they come by themselves."""
    chunks = Chunks()
    assert chunks.feed(b"2\r\nhi\r\n") == b"hi"
    assert chunks.feed(b"0\r\n") == b""
    with pytest.raises(Malformed):
        chunks.feed(b"2\r\nhi\r\n")
    chunks = Chunks()
    chunks.feed(b"0\r\n\r\n")
    assert chunks.feed(b"2\r\nhi\r\n") == b""
    assert chunks.rest == b"2\r\nhi\r\n"


def test_a_refused_body_stays_refused() -> None:
    """Nothing after the fault may look sound."""
    chunks = Chunks()
    for data in (b"x", b"0\r\n\r\n"):
        with pytest.raises(Malformed):
            chunks.feed(data)
    assert not chunks.complete


def test_what_comes_after_the_end_is_kept() -> None:
    """It is the next request, or bytes that a cell must not have sent; the caller knows which."""
    chunks = Chunks()
    assert chunks.feed(b"0\r\n\r\nGE") == b""
    assert chunks.feed(b"T /") == b""
    assert chunks.rest == b"GET /"
