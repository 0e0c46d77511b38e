"""Header lines of a request: odd ones are refused, the rest travel byte for byte (RFC 9110 section 5)."""

import gzip

import pytest

from tests.router.bytes.messages import AUTH, BODY, CHUNKED, OTHER_KEY, chunks, post, request
from tests.router.bytes.wire import Wire

CONTROLS = [byte for byte in (*range(32), 127) if byte not in b"\t\r\n"]
SEPARATORS = b'"(),/;<=>?@[\\]{} \t'

REFUSED = {
    **{f"value with byte {byte:02x}": request(b"X: a" + bytes([byte]) + b"b") for byte in CONTROLS},
    **{f"value begins with {byte:02x}": request(b"X: " + bytes([byte]) + b"b") for byte in CONTROLS},
    **{f"value ends with {byte:02x}": request(b"X: b" + bytes([byte])) for byte in CONTROLS},
    **{f"name with byte {byte:02x}": request(b"X" + bytes([byte]) + b"Y: a") for byte in (*CONTROLS, *SEPARATORS)},
    **{f"name with byte {byte:02x}": request(b"X" + bytes([byte]) + b"Y: a") for byte in (128, 160, 233, 255)},
    "space before the colon": request(b"X-Name : a"),
    "tab before the colon": request(b"X-Name\t: a"),
    "space before the name": request(b"X: a", b" Y: b"),
    "tab before the name": request(b"X: a", b"\tY: b"),
    "folded": request(b"X: a\r\n b"),
    "folded with a tab": request(b"X: a\r\n\tb"),
    "folded into nothing": request(b"X: a\r\n "),
    "folded from nothing": request(b"X:\r\n b"),
    "folded first line": b"GET /x HTTP/1.1\r\n X: y\r\n" + request().partition(b"\r\n")[2],
    "empty name": request(b": a"),
    "no colon": request(b"X-Name"),
    "no colon but a space": request(b"X-Name a"),
    "only a colon": request(b":"),
    "bare CR in a value": request(b"X: a\rb"),
    "bare CR at a value's end": request(b"X: a\r"),
    "bare CR before a name": request(b"\rX: a"),
    "bare CR in a name": request(b"X\rY: a"),
    "bare CR in place of CRLF": request(b"X: a\rY: b"),
    "bare LF in a value": request(b"X: a\nb"),
    "bare LF in place of CRLF": request(b"X: a\nY: b"),
    "bare LF at the end of the head": request(b"X: a").removesuffix(b"\r\n\r\n") + b"\r\n\n",
    "two bare LFs at the end of the head": request(b"X: a").removesuffix(b"\r\n\r\n") + b"\n\n",
    "LF CRLF at the end of the head": request(b"X: a").removesuffix(b"\r\n\r\n") + b"\n\r\n",
    "CR at the end of the head": request(b"X: a").removesuffix(b"\r\n\r\n") + b"\r\n\rX\r\n\r\n",
    "two authorizations": request(AUTH),
    "two different authorizations": request(b"Authorization: Bearer " + OTHER_KEY),
    "two tenants": request(b"X-Tenant: acme", b"X-Tenant: acme"),
    "two different tenants": request(b"X-Tenant: acme", b"x-tenant: beta"),
    "two expectations": post(b"Expect: 100-continue", b"Expect: 100-continue", CHUNKED, body=BODY),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_a_header_line_that_is_in_doubt_is_refused(wire: Wire, name: str) -> None:
    """400, the end of the connection, and no byte at the cell."""
    answers = await wire.refused(REFUSED[name])
    assert answers.final.start[0] == 400
    assert answers.final.values(b"connection") == [b"close"]


@pytest.mark.parametrize("name", [name for name in REFUSED if "byte" not in name and "with" not in name])
async def test_it_is_refused_byte_by_byte_too(wire: Wire, name: str) -> None:
    """Where segments end changes nothing."""
    assert (await wire.refused(REFUSED[name], trickled=True)).final.start[0] == 400


@pytest.mark.parametrize(
    "line",
    [
        b"X-Caf: caf\xe9 \xff\x80\xa0end",
        b"X-Utf: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        b"X-Broken-Utf: \xc3(\xff\xfe",
        b"X-Tab: a\tb",
        b"X-Spaces: a   b",
        b"X-Empty:",
        b'X-Quoted: "a, \\"b"; c=\'d\'',
        b"X-Colons: a: b: c",
        b"x-LoWeR: kept",
        b"X-Long: " + b"a" * 8000,
        b'Cookie: a=b; c="d"; e',
        b"Accept-Encoding: gzip, br;q=0.1",
        b'If-None-Match: W/"x"',
        b"Range: bytes=0-1",
        b"!#$%&'*+-.^_`|~09az: odd but a token",
        b"X_Custom: 1",
        b"X-Cellway-Like: 1",
        b"CellwayTenant: 1",
        b"Idempotency-Key: k",
        b"DNT: 1",
        b"Priority: u=1",
    ],
)
async def test_a_header_travels_byte_for_byte(wire: Wire, line: bytes) -> None:
    """Its name keeps its case, its value every byte."""
    seen = await wire.forwarded(request(line))
    name, _, value = line.partition(b":")
    assert b"\r\n%s\r\n" % line in seen.wire or b"\r\n%s: %s\r\n" % (name, value.strip()) in seen.wire


async def test_headers_keep_their_order_and_number(wire: Wire) -> None:
    """Also those that come twice."""
    lines = [b"Cookie: a=1", b"X-B: 1", b"cookie: b=2", b"X-B: 1", b"X-A: 2", b"X-B:"]
    seen = await wire.forwarded(request(*lines))
    kept = [(name, value) for name, value in seen.message.headers if name in (b"cookie", b"x-a", b"x-b")]
    expected = [line.split(b":") for line in lines]
    assert kept == [(name.lower(), value.strip()) for name, value in expected]


async def test_no_header_is_made_up(wire: Wire) -> None:
    """Neither a Content-Type, nor an Accept, nor a User-Agent; nor a length where there is no body."""
    seen = await wire.forwarded(request())
    assert {name for name, _ in seen.message.headers} == {
        b"host", b"authorization", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded",
        b"via", b"x-request-id", b"traceparent", b"cellway-tenant", b"cellway-epoch",
    }  # fmt: skip
    seen = await wire.forwarded(post(b"Content-Length: 2", body=b"{}"))
    assert not seen.values(b"content-type")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"X-Tenant: ac\xe9me", 404),
        (b"X-Tenant: acme\xe9", 404),
        (b"X-Tenant: \xe9acme", 404),
        (b"X-Tenant: \xa0acme", 404),
        (b"X-Tenant: acme\xa0", 404),
        (b"X-Tenant: acme\x85", 404),
        (b"X-Tenant: acme\xe2\x80\x8b", 404),
        (b"X-Tenant: \xef\xbb\xbfacme", 404),
        (b"X-Tenant: beta\xff", 404),
        (b"X-Tenant: ACME", 404),
        (b"X-Tenant: acme,beta", 404),
        (b"X-Tenant: acme, acme", 404),
        (b"X-Tenant: beta", 404),
        (b"X-Tenant:", 404),
    ],
)
async def test_high_bytes_never_change_whom_a_request_is_for(wire: Wire, line: bytes, status: int) -> None:
    """They neither vanish nor count as white space: such a name is no tenant's."""
    answers = await wire.exchange(request(line))
    assert answers.final.start[0] in (status, 400)
    await wire.settled()
    assert not wire.cell.seen


@pytest.mark.parametrize("byte", [b"\x80", b"\xa0", b"\xe9", b"\xff"])
async def test_a_key_with_a_high_byte_is_no_key(wire: Wire, byte: bytes) -> None:
    """Wherever the byte is."""
    for credential in (
        AUTH + byte,
        AUTH.replace(b"acme", b"ac" + byte + b"me"),
        AUTH.replace(b"er ", b"er " + byte),
    ):
        answers = await wire.exchange(request().replace(AUTH, credential))
        assert answers.final.start[0] in (400, 401)
        await wire.settled()
        assert not wire.cell.seen


@pytest.mark.parametrize(
    "name",
    [
        b"Cellway-Tenant", b"cellway-tenant", b"CELLWAY-EPOCH", b"Cellway-Anything", b"Cellway_Tenant",
        b"cellway_epoch", b"Cellway-_x", b"X_Tenant", b"x_tenant", b"X_Request_Id", b"X_Forwarded_For",
        b"X_Forwarded_Anything", b"X-Forwarded_For", b"X_Real_Ip", b"Content_Length", b"Content_length",
        b"Transfer_Encoding", b"Idempotency_Key",
    ],
)  # fmt: skip
async def test_nobody_passes_off_a_header_of_ours(wire: Wire, name: bytes) -> None:
    """Nor its twin with underscores, which is the same variable to a CGI-style server."""
    answers = await wire.exchange(request(name + b": planted"))
    assert answers.final.start[0] in (200, 400)
    await wire.settled()
    for seen in wire.cell.seen:
        assert b"planted" not in seen.wire
        assert seen.values(b"cellway-tenant") == [b"acme"]
        assert seen.values(b"cellway-epoch") == [b"5"]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Keep-Alive: timeout=5"], [b"Proxy-Connection: keep-alive"], [b"Proxy-Authorization: Basic x"],
        [b"TE: trailers"], [b"TE: gzip"], [b"Trailer: X-Gone"],
        [b"Connection: X-Gone", b"X-Gone: planted"], [b"X-Gone: planted", b"connection: a,  x-gOnE ,b"],
        [b"Connection: a", b"Connection: X-Gone", b"X-Gone: planted", b"x-gone: planted too"],
        [b"Connection: Upgrade", b"Upgrade: h2c"],
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
        [b"Upgrade: h2c"], [b"Upgrade: TLS/1.0"], [b"Connection: upgrade", b"Upgrade: foo, h2c"],
        [b"Connection: upgrade"],
    ],
)  # fmt: skip
async def test_what_is_meant_for_one_connection_stays_there(wire: Wire, lines: list[bytes]) -> None:
    """RFC 9110 section 7.6.1; the one upgrade that goes on is WebSocket."""
    seen = await wire.forwarded(request(*lines, b"X-Kept: 1"))
    gone = {line.partition(b":")[0].lower() for line in lines} | {b"connection"}
    names = {name for name, _ in seen.message.headers}
    assert not gone & names
    assert b"x-kept" in names


@pytest.mark.parametrize(
    "name", [b"Cellway-Tenant", b"Cellway-Epoch", b"X-Request-Id", b"X-Forwarded-For", b"Via", b"Host"]
)
async def test_ours_cannot_be_removed_by_naming_it_in_connection(wire: Wire, name: bytes) -> None:
    """What the router says is said to the cell, whatever the client wants."""
    seen = await wire.forwarded(request(b"Connection: " + name))
    assert len(seen.values(name.lower())) == 1


@pytest.mark.parametrize(
    "option", [b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"X-Tenant"]
)
async def test_connection_cannot_take_away_what_was_decided_by(wire: Wire, option: bytes) -> None:
    """Refused, or the body's end, the host and the tenant are at the cell what they were here."""
    answers = await wire.exchange(
        post(b"Connection: " + option, b"X-Tenant: acme", b"Content-Length: 5", body=b"hello")
    )
    assert answers.final.start[0] in (200, 400)
    assert not wire.cell.faults
    for seen in wire.cell.seen:
        assert (seen.body, seen.values(b"cellway-tenant")) == (b"hello", [b"acme"])
        assert seen.values(b"host") == [b"acme.api.localhost"]


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_compressed_body_passes_untouched(wire: Wire, framing: str) -> None:
    """With its own length."""
    packed = gzip.compress(b"hello" * 1000)
    extra = b"Content-Encoding: gzip"
    if framing == "length":
        data = post(extra, b"Content-Length: %d" % len(packed), body=packed)
    else:
        data = chunks(b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed), extra)
    seen = await wire.forwarded(data)
    assert seen.body == packed
    assert seen.values(b"content-encoding") == [b"gzip"]
    assert seen.values(b"content-length") == ([b"%d" % len(packed)] if framing == "length" else [])
