"""Valid messages with something wrong, for tests that do not know beforehand what is wrong.

A mutated message consists of lines most of the time, so that what is wrong lies where parsers differ: at
separators, white space, numbers and the names that frame.
"""

from itertools import pairwise

from hypothesis import strategies as st

from tests.router.bytes.messages import AUTH, BODY, CHUNKED, OTHER_KEY, chunks, post, request, response, sized

SEPARATORS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\n\t",
    b"",
    b" ",
    b"\x00",
    b"\x0b",
]
ODD_BYTES = [
    b"\x00",
    b"\t",
    b"\n",
    b"\x0b",
    b"\x0c",
    b"\r",
    b" ",
    b":",
    b",",
    b";",
    b"\x7f",
    b"\x80",
    b"\x85",
    b"\xa0",
]
ODD_BYTES += [b"\xe9", b"\xff", b"0", b"1", b"a", b"-", b"+", b"_", b'"', b"#", b"%", b"/", b"\\", b"@"]

FRAMING_LINES = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 6", b"Content-Length : 5", b"content-length:5",
    b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length:", b"Content_Length: 9", CHUNKED,
    b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked", b"transfer-encoding:chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked", b"Transfer_Encoding: chunked", b"Connection: close", b"Connection: keep-alive",
    b"Connection: Content-Length", b"Connection: Upgrade", b"Upgrade: h2c", b"X: y", b"X: \xe9", b"", b" ", b": x",
]  # fmt: skip
REQUEST_LINES = [
    *FRAMING_LINES, b"Host: beta.api.localhost", b"Host: acme.api.localhost", b"Host:", b"X-Tenant: beta",
    b"X-Tenant: acme", b"X_Tenant: beta", b"Cellway-Tenant: beta", b"Cellway_Tenant: beta", AUTH,
    b"Authorization: Bearer " + OTHER_KEY, b"Expect: 100-continue", b"Connection: Host", b"TE: trailers",
    b"Connection: X-Tenant", b"Connection: Authorization", b"X-Forwarded-Host: beta.api.localhost",
    b"GET http://beta.api.localhost/ HTTP/1.1", b"GET /t/beta/x HTTP/1.1", b"POST /x HTTP/1.0", b"GET /x HTTP/1.1",
    b"GET /x", b"0", b"5", b"5;a=b", b"hello",
]  # fmt: skip
RESPONSE_LINES = [
    *FRAMING_LINES, b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 101 Switching Protocols", b"Trailer: X",
    b"Server: x", b"Cellway-Epoch: 5", b"0", b"5", b"5;a=b", b"hello",
]  # fmt: skip

BETA = request(host=b"Host: beta.api.localhost").replace(AUTH, b"Authorization: Bearer " + OTHER_KEY)
REQUESTS = [
    request(),
    request(b"X-Tenant: acme", b"Cookie: a=\xe9"),
    request(line=b"GET /t/acme/x?y HTTP/1.1"),
    request(line=b"GET http://acme.api.localhost/x HTTP/1.1"),
    request(line=b"GET /x HTTP/1.0"),
    request(b"Connection: keep-alive, X-A", b"X-A: b", line=b"GET /x HTTP/1.0"),
    BETA,
    post(b"Content-Length: 5", body=b"hello"),
    post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
    chunks(BODY),
    chunks(b"5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"),
    chunks(b"a\r\nGET / HTTP\r\n0\r\nX-Sum: 1\r\n\r\n"),
]
RESPONSES = [
    sized(b"hello"),
    sized(b"hello", b"X: \xe9", b"Set-Cookie: a"),
    sized(b"hello", line=b"HTTP/1.0 200 OK"),
    response(CHUNKED, body=BODY),
    response(CHUNKED, body=b"5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
    response(body=b"hello"),
    response(line=b"HTTP/1.1 204 No Content"),
    response(b"Content-Length: 5", line=b"HTTP/1.1 304 Not Modified"),
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(b"hello"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + response(CHUNKED, body=BODY),
]


def _lines(data: bytes) -> list[bytes]:
    return data.split(b"\r\n")


def flip(data: bytes, at: int, bit: int) -> bytes:
    """One bit is another."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def insert(data: bytes, at: int, piece: bytes) -> bytes:
    """Something is there that was not."""
    at %= len(data) + 1
    return data[:at] + piece + data[at:]


def remove(data: bytes, at: int, length: int) -> bytes:
    """Something is missing, but never all."""
    at %= len(data)
    return data[:at] + data[at + length :] or data


def insert_line(data: bytes, at: int, line: bytes) -> bytes:
    """A line more."""
    lines = _lines(data)
    lines.insert(at % (len(lines) + 1), line)
    return b"\r\n".join(lines)


def double_line(data: bytes, at: int, _line: bytes) -> bytes:
    """A line comes twice."""
    lines = _lines(data)
    return insert_line(data, at, lines[at % len(lines)])


def replace_line(data: bytes, at: int, line: bytes) -> bytes:
    """A line is another."""
    lines = _lines(data)
    lines[at % len(lines)] = line
    return b"\r\n".join(lines) or data


def replace_separator(data: bytes, at: int, separator: bytes) -> bytes:
    """A line ends otherwise."""
    lines = _lines(data)
    at %= len(lines)
    if at + 1 >= len(lines):
        return data
    return b"\r\n".join([*lines[:at], lines[at] + separator + lines[at + 1], *lines[at + 2 :]]) or data


_AT = st.integers(0, 2**12)


def _change(lines: list[bytes]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.one_of(
        st.tuples(st.just(flip), _AT, st.integers(0, 7)),
        st.tuples(st.just(insert), _AT, st.sampled_from(ODD_BYTES)),
        st.tuples(st.just(insert), _AT, st.sampled_from(SEPARATORS)),
        st.tuples(st.just(remove), _AT, st.integers(1, 3)),
        st.tuples(st.sampled_from([insert_line, replace_line, double_line]), _AT, st.sampled_from(lines)),
        st.tuples(
            st.sampled_from([insert_line, insert_line, insert_line]), st.integers(1, 4), st.sampled_from(lines)
        ),
        st.tuples(st.just(replace_separator), _AT, st.sampled_from(SEPARATORS)),
    )


def mutated(messages: list[bytes], lines: list[bytes], *, most: int = 3) -> st.SearchStrategy[bytes]:
    """One to `most` of the messages, one behind the other, with up to three changes."""
    whole = st.lists(st.sampled_from(messages), min_size=1, max_size=most).map(b"".join)
    return st.builds(_changed, whole, st.lists(_change(lines), max_size=3))


def _changed(data: bytes, changes: list[tuple[object, ...]]) -> bytes:
    for change, *arguments in changes:
        data = change(data, *arguments)  # type: ignore[operator]
    return data


def cut(data: bytes, offsets: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    places = sorted({0, len(data), *(offset % (len(data) + 1) for offset in offsets)})
    return [data[start:end] for start, end in pairwise(places)]
