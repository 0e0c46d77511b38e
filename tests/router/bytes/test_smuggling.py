"""The classics: one side reads one request, the other two. Here nobody ever reads two.

Each is sent as an attacker would, with the beginning of another's request behind it. Either nothing reaches the
cell, or what reaches it is exactly what h11 reads, and the hidden request is not among it.
"""

import pytest

from tests.router.bytes.messages import AUTH, CHUNKED, HOST, SMUGGLED, chunks, post, request
from tests.router.bytes.views import requests
from tests.router.bytes.wire import Wire

INNER = SMUGGLED
LENGTH = b"Content-Length: %d"
HIDDEN = b"0\r\n\r\n" + INNER
OBFUSCATED = [
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked\x0b",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b" Transfer-Encoding: chunked", b"X: X\nTransfer-Encoding: chunked", b"Transfer-Encoding\r\n : chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: chunk", b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding;: chunked", b"Transfer-Encoding: chunked;", b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: chunked\x00", b"\x00Transfer-Encoding: chunked", b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding: cow", b"Transfer-Encoding:chunked\r", b"Transfer-\xc9ncoding: chunked",
    b"Tr\xc3\xa4nsfer-Encoding: chunked", b"Transfer-Encoding: \xffchunked", b"Transfer Encoding: chunked",
    b"X-Y: Z\rTransfer-Encoding: chunked", b"Foo: bar\r\n\rTransfer-Encoding: chunked",
    b":Transfer-Encoding: chunked",
    b"Transfer-Encoding=chunked: x", b"Content-Encoding: chunked", b"TE: chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
]  # fmt: skip

CLASSICS = {
    "CL.TE": post(LENGTH % len(HIDDEN), CHUNKED, body=HIDDEN),
    "CL.TE, the other order": post(CHUNKED, LENGTH % len(HIDDEN), body=HIDDEN),
    "TE.CL": post(b"Content-Length: 4", CHUNKED, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)),
    "CL.CL": post(LENGTH % len(INNER), b"Content-Length: 0", body=INNER),
    "CL.0": post(b"Content-Length: 0", LENGTH % len(INNER), body=INNER),
    "CL.CL in one line": post(b"Content-Length: 0, %d" % len(INNER), body=INNER),
    "CL hidden behind Connection": post(b"Connection: Content-Length", LENGTH % len(INNER), body=INNER),
    "GET with a body": request(LENGTH % len(INNER), body=INNER),
    "TE in HTTP/1.0": request(CHUNKED, line=b"POST /x HTTP/1.0", body=HIDDEN),
    "a request in the target": request(line=b"GET /x HTTP/1.1\r\nX: " + INNER[:10] + b" HTTP/1.1"),
    "a CR in the target": request(line=b"GET /x\rHost: beta HTTP/1.1"),
    "a request in a header": request(b"X: " + INNER.replace(b"\r\n", b"\r")),
    "an extension that ends a line": chunks(b"2;\nxx\r\n4c\r\n0\r\n\r\n" + INNER),
    "an extension that ends a line, 0": chunks(b"0;\n\r\n\r\n" + INNER),
    "an extension that ends with CR": chunks(b"5;x\r5\r\nhello\r\n0\r\n\r\n" + INNER),
    "an extension with CRLF in quotes": chunks(b'5;x="\r\nhello\r\n0\r\n\r\n"\r\n' + INNER),
    "a space behind the size": chunks(b"0 \r\n\r\n" + INNER),
    "a size that overflows 32 bits": chunks(b"100000000\r\n\r\n" + INNER),
    "a size that overflows 64 bits": chunks(b"10000000000000000\r\n\r\n" + INNER),
    "a size that is signed": chunks(b"-1\r\n\r\n" + INNER),
    "a size with 0x": chunks(b"0x0\r\n\r\n" + INNER),
    "chunk data spills": chunks(b"5\r\nhello0\r\n\r\n" + INNER),
    "chunk data ends with two bytes": chunks(b"5\r\nhelloxx0\r\n\r\n" + INNER),
    "chunk data ends with LF": chunks(b"5\r\nhello\n0\r\n\r\n" + INNER),
    "chunk data ends with CR": chunks(b"5\r\nhello\r0\r\n\r\n" + INNER),
    "a trailer with a length": chunks(b"0\r\n" + LENGTH % len(INNER) + b"\r\n\r\n" + INNER),
    "a trailer section that ends with LF": chunks(b"0\r\nX: y\n\n" + INNER),
    "a trailer section that ends with CR": chunks(b"0\r\nX: y\r\r" + INNER),
    "no end of the trailers": chunks(b"0\r\n" + INNER),
    "LF before the next request": request() + b"\n" + INNER,
    "CR before the next request": request() + b"\r" + INNER,
    "NUL before the next request": request() + b"\x00" + INNER,
    "an expectation and a refused body": post(b"Expect: 100-continue", LENGTH % len(INNER), body=INNER),
    "an odd expectation and a body": post(b"Expect: x", LENGTH % len(INNER), body=INNER),
    "an upgrade and a request": request(b"Connection: Upgrade", b"Upgrade: websocket", body=INNER),
    "an upgrade to h2c": request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", body=INNER),
    "an upgrade with a length": post(b"Connection: Upgrade", b"Upgrade: x", LENGTH % len(INNER), body=INNER),
    "a second Host behind a fold": b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n Host: beta\r\n" + AUTH + b"\r\n\r\n",
    "CONNECT and a request": request(line=b"CONNECT acme.api.localhost:80 HTTP/1.1", body=INNER),
    "HEAD with a body": request(LENGTH % len(INNER), line=b"HEAD /x HTTP/1.1", body=INNER),
    **{f"TE.TE: {line!r}": post(LENGTH % len(HIDDEN), CHUNKED, line, body=HIDDEN) for line in OBFUSCATED},
    **{f"CL.TE: {line!r}": post(LENGTH % len(HIDDEN), line, body=HIDDEN) for line in OBFUSCATED},
    **{f"TE alone: {line!r}": post(line, body=HIDDEN) for line in OBFUSCATED},
}


@pytest.mark.parametrize("name", CLASSICS)
async def test_nobody_reads_two_requests_where_another_reads_one(wire: Wire, name: str) -> None:
    """The cell sees no more than h11 sees in what was sent, in the same order, with the same bodies."""
    wire.cell.forget()
    data = CLASSICS[name]
    async with wire.speaking() as speaker:
        await speaker.send([data])
        await speaker.until_quiet(wire.cell)
    await wire.settled()
    assert not wire.cell.faults
    meant = [(each.start[0], each.start[1], each.body) for each in requests(data)]
    came = [(each.method, each.target, each.body) for each in wire.cell.seen]
    remaining = iter(meant)
    assert all(each in remaining for each in came), (came, meant)
    assert all(each.values(b"cellway-tenant") == [b"acme"] for each in wire.cell.seen)
