"""Requests of the tenant acme and answers of its cell, as bytes, and short ways to write odd ones."""

from tests.router.upstreams import KEY

CRLF = b"\r\n"
HOST = b"Host: acme.api.localhost"
AUTH = b"Authorization: Bearer " + KEY.encode()
OTHER_KEY = b"ck_beta_" + b"k" * 43
CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
BODY = b"5\r\nhello\r\n" + LAST
POST = b"POST /x HTTP/1.1"


def request(
    *lines: bytes, line: bytes = b"GET /x HTTP/1.1", host: bytes | None = HOST, body: bytes = b""
) -> bytes:
    """A request of acme with these header lines besides Host and Authorization, and `body` behind its head."""
    first = [line] if host is None else [line, host]
    return CRLF.join([*first, AUTH, *lines, b"", b""]) + body


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """The same with POST."""
    return request(*lines, line=POST, body=body)


def chunks(body: bytes, *lines: bytes) -> bytes:
    """A POST with these bytes as its chunks, framing included."""
    return post(CHUNKED, *lines, body=body)


def trailed(*trailers: bytes) -> bytes:
    """A POST of `hello` in one chunk with these trailers."""
    return chunks(CRLF.join([b"5", b"hello", b"0", *trailers, b"", b""]))


def response(*lines: bytes, line: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    """A cell's answer."""
    return CRLF.join([line, *lines, b"", b""]) + body


def sized(body: bytes, *lines: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A cell's answer with a length."""
    return response(*lines, b"Content-Length: %d" % len(body), line=line, body=body)


SMUGGLED = request(line=b"GET /smuggled HTTP/1.1")
"""What an attacker would hide behind an odd request. It must reach no cell."""
