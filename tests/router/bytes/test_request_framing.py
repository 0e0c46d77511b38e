"""Where a client's body ends: said once, in one way, or the request is refused (RFC 9112 sections 6 and 7)."""

import pytest

from tests.router.bytes.messages import BODY, CHUNKED, LAST, chunks, post, request, trailed
from tests.router.bytes.wire import Wire

FIVE = b"Content-Length: 5"

LENGTHS = {
    "two alike": post(FIVE, FIVE, body=b"hello"),
    "two different": post(FIVE, b"Content-Length: 6", body=b"hello!"),
    "two, the second shorter": post(b"Content-Length: 6", FIVE, body=b"hello!"),
    "two, with other lines between": post(FIVE, b"X-Y: 1", b"content-length: 5", body=b"hello"),
    "a list of one value": post(b"Content-Length: 5, 5", body=b"hello"),
    "a list without spaces": post(b"Content-Length: 5,5", body=b"hello"),
    "a list of different values": post(b"Content-Length: 5,6", body=b"hello"),
    "a comma": post(b"Content-Length: 5,", body=b"hello"),
    "plus": post(b"Content-Length: +5", body=b"hello"),
    "minus": post(b"Content-Length: -5", body=b"hello"),
    "minus zero": post(b"Content-Length: -0"),
    "hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "letters": post(b"Content-Length: five", body=b"hello"),
    "a letter behind": post(b"Content-Length: 5a", body=b"hello"),
    "underscore": post(b"Content-Length: 1_0", body=b"hello12345"),
    "decimal point": post(b"Content-Length: 5.0", body=b"hello"),
    "exponent": post(b"Content-Length: 5e0", body=b"hello"),
    "empty": post(b"Content-Length:"),
    "only a space": post(b"Content-Length: "),
    "two words": post(b"Content-Length: 5 5", body=b"hello"),
    "quoted": post(b'Content-Length: "5"', body=b"hello"),
    "semicolon": post(b"Content-Length: 5;x", body=b"hello"),
    "vertical tab": post(b"Content-Length: \x0b5", body=b"hello"),
    "form feed": post(b"Content-Length: 5\x0c", body=b"hello"),
    "no-break space": post(b"Content-Length: \xa05", body=b"hello"),
    "next line of Latin-1": post(b"Content-Length: 5\x85", body=b"hello"),
    "superscript two of Latin-1": post(b"Content-Length: \xb2", body=b"he"),
    "Arabic digit in UTF-8": post("Content-Length: \u0665".encode(), body=b"hello"),
    "full-width digit in UTF-8": post("Content-Length: \uff15".encode(), body=b"hello"),
    "2**64": post(b"Content-Length: 18446744073709551616"),
    "2**64 + 5": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "twenty digits": post(b"Content-Length: 99999999999999999999"),
    "five hundred digits": post(b"Content-Length: " + b"9" * 500),
    "NUL": post(b"Content-Length: 5\x00", body=b"hello"),
    "space before the colon": post(b"Content-Length : 5", body=b"hello"),
    "tab before the colon": post(b"Content-Length\t: 5", body=b"hello"),
    "folded": post(b"Content-Length:\r\n 5", body=b"hello"),
    "in GET, odd": request(b"Content-Length: +0"),
}

MIXED = {
    "length, then coding": post(FIVE, CHUNKED, body=BODY),
    "coding, then length": post(CHUNKED, FIVE, body=BODY),
    "length zero": post(b"Content-Length: 0", CHUNKED, body=LAST),
    "an odd length": post(b"Content-Length: x", CHUNKED, body=BODY),
    "an odd coding": post(FIVE, b"Transfer-Encoding: xchunked", body=b"hello"),
    "identity and a length": post(b"Transfer-Encoding: identity", FIVE, body=b"hello"),
    "an empty coding and a length": post(b"Transfer-Encoding:", FIVE, body=b"hello"),
    "far apart": post(FIVE, *(b"X-%d: 1" % number for number in range(30)), CHUNKED, body=BODY),
    "in other cases": post(b"CONTENT-LENGTH: 5", b"tRANSFER-eNCODING: Chunked", body=BODY),
}

CODINGS = {
    "chunked twice, one line": post(b"Transfer-Encoding: chunked, chunked", body=BODY),
    "chunked twice, two lines": post(CHUNKED, CHUNKED, body=BODY),
    "chunked, identity": post(b"Transfer-Encoding: chunked, identity", body=BODY),
    "identity, chunked": post(b"Transfer-Encoding: identity, chunked", body=BODY),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=BODY),
    "gzip and chunked in two lines": post(b"Transfer-Encoding: gzip", CHUNKED, body=BODY),
    "chunked and identity in two lines": post(CHUNKED, b"Transfer-Encoding: identity", body=BODY),
    "chunked and rubbish in two lines": post(CHUNKED, b"Transfer-Encoding: x", body=BODY),
    "identity": post(b"Transfer-Encoding: identity"),
    "gzip": post(b"Transfer-Encoding: gzip", body=b"hello"),
    "xchunked": post(b"Transfer-Encoding: xchunked", body=BODY),
    "chunkedx": post(b"Transfer-Encoding: chunkedx", body=BODY),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1", body=BODY),
    "chunked and a comma": post(b"Transfer-Encoding: chunked,", body=BODY),
    "a comma and chunked": post(b"Transfer-Encoding: ,chunked", body=BODY),
    "quoted": post(b'Transfer-Encoding: "chunked"', body=BODY),
    "single quotes": post(b"Transfer-Encoding: 'chunked'", body=BODY),
    "empty": post(b"Transfer-Encoding:", body=BODY),
    "empty, then chunked": post(b"Transfer-Encoding:", CHUNKED, body=BODY),
    "vertical tab before": post(b"Transfer-Encoding: \x0bchunked", body=BODY),
    "form feed before": post(b"Transfer-Encoding: \x0cchunked", body=BODY),
    "no-break space behind": post(b"Transfer-Encoding: chunked\xa0", body=BODY),
    "next line of Latin-1 behind": post(b"Transfer-Encoding: chunked\x85", body=BODY),
    "Kelvin sign for k": post("Transfer-Encoding: chun\u212aed".encode(), body=BODY),
    "NUL behind": post(b"Transfer-Encoding: chunked\x00", body=BODY),
    "space before the colon": post(b"Transfer-Encoding : chunked", body=BODY),
    "tab before the colon": post(b"Transfer-Encoding\t: chunked", body=BODY),
    "vertical tab before the colon": post(b"Transfer-Encoding\x0b: chunked", body=BODY),
    "space before the name": post(b" Transfer-Encoding: chunked", body=BODY),
    "folded": post(b"Transfer-Encoding:\r\n chunked", body=BODY),
    "folded after a comma": post(b"Transfer-Encoding: chunked,\r\n identity", body=BODY),
    "behind a bare CR": post(b"X: y\rTransfer-Encoding: chunked", body=BODY),
    "behind a bare LF": post(b"X: y\nTransfer-Encoding: chunked", body=BODY),
    "in HTTP/1.0": request(CHUNKED, line=b"POST /x HTTP/1.0", body=BODY),
    "in HTTP/1.0 with a length": request(CHUNKED, FIVE, line=b"POST /x HTTP/1.0", body=BODY),
    "in HTTP/1.0 and kept": request(CHUNKED, b"Connection: keep-alive", line=b"POST /x HTTP/1.0", body=BODY),
}

CHUNK_SYNTAX = {
    "no size": chunks(b"\r\nhello\r\n" + LAST),
    "minus": chunks(b"-5\r\nhello\r\n" + LAST),
    "plus": chunks(b"+5\r\nhello\r\n" + LAST),
    "0x": chunks(b"0x5\r\nhello\r\n" + LAST),
    "underscore": chunks(b"0_5\r\nhello\r\n" + LAST),
    "no hexadecimal digit": chunks(b"g\r\nhello\r\n" + LAST),
    "superscript two of Latin-1": chunks(b"\xb2\r\nhe\r\n" + LAST),
    "full-width digit in UTF-8": chunks("\uff15\r\nhello\r\n".encode() + LAST),
    "leading space": chunks(b" 5\r\nhello\r\n" + LAST),
    "leading tab": chunks(b"\t5\r\nhello\r\n" + LAST),
    "tab behind": chunks(b"5\t\r\nhello\r\n" + LAST),
    "space behind": chunks(b"5 \r\nhello\r\n" + LAST),
    "vertical tab behind": chunks(b"5\x0b\r\nhello\r\n" + LAST),
    "NUL behind": chunks(b"5\x00\r\nhello\r\n" + LAST),
    "two sizes": chunks(b"5 5\r\nhello\r\n" + LAST),
    "comma": chunks(b"5,5\r\nhello\r\n" + LAST),
    "2**64 + 5": chunks(b"10000000000000005\r\nhello\r\n" + LAST),
    "2**128 + 5": chunks(b"1" + b"0" * 31 + b"5\r\nhello\r\n" + LAST),
    "bare LF behind the size": chunks(b"5\nhello\r\n" + LAST),
    "bare LF behind the data": chunks(b"5\r\nhello\n" + LAST),
    "bare LF behind the last size": chunks(b"5\r\nhello\r\n0\n\r\n"),
    "bare LF at the very end": chunks(b"5\r\nhello\r\n0\r\n\n"),
    "bare LFs everywhere": chunks(b"5\nhello\n0\n\n"),
    "bare CR behind the size": chunks(b"5\rhello\r\n" + LAST),
    "CR CR LF behind the size": chunks(b"5\r\r\nhello\r\n" + LAST),
    "CR, then something else": chunks(b"5\r\nhello\rX" + LAST),
    "no CRLF behind the data": chunks(b"5\r\nhello" + LAST),
    "two bytes in place of CRLF": chunks(b"5\r\nhelloXX" + LAST),
    "more data than the size says": chunks(b"3\r\nhello\r\n" + LAST),
    "less data than the size says": chunks(b"6\r\nhello\r\n" + LAST),
    "an empty line between chunks": chunks(b"2\r\nhe\r\n\r\n3\r\nllo\r\n" + LAST),
    "an empty line first": chunks(b"\r\n5\r\nhello\r\n" + LAST),
    "extension with bare LF": chunks(b"5;a=b\nhello\r\n" + LAST),
    "extension with bare CR": chunks(b"5;a\rb\r\nhello\r\n" + LAST),
    "extension with NUL": chunks(b"5;a=\x00\r\nhello\r\n" + LAST),
    "last chunk's extension with bare LF": chunks(b"5\r\nhello\r\n0;\n\r\n"),
}

TRAILERS = {
    "Content-Length": trailed(b"Content-Length: 5"),
    "content-length in lower case": trailed(b"content-length: 5"),
    "Transfer-Encoding": trailed(CHUNKED),
    "Host": trailed(b"Host: beta.api.localhost"),
    "Authorization": trailed(b"Authorization: Bearer x"),
    "the tenant's header": trailed(b"X-Tenant: beta"),
    "the tenant's header, the same tenant": trailed(b"X-Tenant: acme"),
    "Cellway-Tenant": trailed(b"Cellway-Tenant: beta"),
    "Cellway-Epoch": trailed(b"Cellway-Epoch: 6"),
    "behind an allowed one": trailed(b"X-Checksum: 1", b"Host: beta.api.localhost"),
    "space before the colon": trailed(b"X-Checksum : 1"),
    "folded": trailed(b"X-Checksum: 1", b" 2"),
    "folded first": trailed(b" X-Checksum: 1"),
    "no colon": trailed(b"X-Checksum"),
    "empty name": trailed(b": 1"),
    "bare LF": chunks(b"5\r\nhello\r\n0\r\nX-Checksum: 1\n\r\n"),
    "bare CR": trailed(b"X-Checksum: 1\r2"),
    "NUL": trailed(b"X-Checksum: \x00"),
    "control byte": trailed(b"X-Checksum: \x1b"),
    "a request": chunks(b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
    "no end": trailed(*(b"X-%d: %s" % (number, b"a" * 4000) for number in range(50))),
}

REFUSED = {
    f"{group}: {name}": data
    for group, cases in {
        "length": LENGTHS,
        "mixed": MIXED,
        "coding": CODINGS,
        "chunk": CHUNK_SYNTAX,
        "trailer": TRAILERS,
    }.items()
    for name, data in cases.items()
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_body_whose_end_is_in_doubt_is_refused(wire: Wire, name: str) -> None:
    """400, the end of the connection, and no byte at the cell."""
    answers = await wire.refused(REFUSED[name])
    assert answers.final.start[0] in ((400, 413, 431) if "no end" in name else (400,))
    assert answers.final.values(b"connection") == [b"close"]


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_however_it_is_cut_into_segments(wire: Wire, name: str) -> None:
    """Byte by byte, for all but the largest."""
    if len(REFUSED[name]) > 2_000:
        pytest.skip("only its size is odd")
    assert (await wire.refused(REFUSED[name], trickled=True)).final.start[0] == 400


SOUND = {
    "a length": (post(FIVE, body=b"hello"), b"hello"),
    "a length of zero": (post(b"Content-Length: 0"), b""),
    "a length in another case": (post(b"CONTENT-length: 5", body=b"hello"), b"hello"),
    "a length behind tabs and spaces": (post(b"Content-Length:\t 5 \t", body=b"hello"), b"hello"),
    "a length without a space": (post(b"Content-Length:5", body=b"hello"), b"hello"),
    "chunks": (chunks(BODY), b"hello"),
    "several chunks": (chunks(b"1\r\nh\r\n4\r\nello\r\n" + LAST), b"hello"),
    "hexadecimal sizes": (chunks(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n" + LAST), b"01234567890123456789a"),
    "leading zeros": (chunks(b"005\r\nhello\r\n000\r\n\r\n"), b"hello"),
    "no chunk but the last": (chunks(LAST), b""),
    "CHUNKED": (post(b"Transfer-Encoding: CHUNKED", body=BODY), b"hello"),
    "Chunked without a space": (post(b"Transfer-Encoding:Chunked", body=BODY), b"hello"),
    "a body that looks like a request": (post(b"Content-Length: 18", body=b"GET / HTTP/1.1\r\n\r\n"), None),
    "GET with a body": (request(FIVE, body=b"hello"), b"hello"),
}


@pytest.mark.parametrize("name", SOUND)
async def test_a_body_whose_end_is_clear_passes(wire: Wire, name: str) -> None:
    """With the framing that the client chose, said once."""
    data, body = SOUND[name]
    seen = await wire.forwarded(data)
    assert seen.body == (body if body is not None else data.partition(b"\r\n\r\n")[2])
    assert len(seen.values(b"content-length")) + len(seen.values(b"transfer-encoding")) == 1
    assert bool(seen.values(b"transfer-encoding")) == (b"chunked" in data.lower())


UNDECIDED = {
    "leading zeros": (post(b"Content-Length: 005", body=b"hello"), b"hello"),
    "a chunk extension": (chunks(b"5;a=b\r\nhello\r\n" + LAST), b"hello"),
    "a quoted chunk extension": (chunks(b'5;a="b;c"\r\nhello\r\n' + LAST), b"hello"),
    "an extension of the last chunk": (chunks(b"5\r\nhello\r\n0;a\r\n\r\n"), b"hello"),
    "an empty extension": (chunks(b"5;\r\nhello\r\n" + LAST), b"hello"),
    "a coding between white space": (post(b"Transfer-Encoding:\t chunked \t", body=BODY), b"hello"),
    "an endless extension": (chunks(b"5;" + b"a" * 100_000 + b"\r\nhello\r\n" + LAST), b"hello"),
    "endless zeros": (chunks(b"0" * 100_000 + b"5\r\nhello\r\n" + LAST), b"hello"),
    "white space before an extension": (chunks(b"5 ;a\r\nhello\r\n" + LAST), b"hello"),
}


@pytest.mark.parametrize("name", UNDECIDED)
async def test_what_is_valid_but_rare_is_refused_or_read_as_the_standard_says(wire: Wire, name: str) -> None:
    """Chunk extensions belong to one connection: they are never passed on (RFC 9112 section 7.1.1)."""
    data, body = UNDECIDED[name]
    answers = await wire.exchange(data)
    assert not wire.cell.faults
    if answers.final.start[0] == 200:
        [seen] = wire.cell.seen
        assert seen.body == body
        assert b";" not in seen.wire.partition(b"\r\n\r\n")[2]
        assert seen.values(b"content-length") in ([], [b"5"])
    else:
        assert answers.final.start[0] in (400, 413)
        await wire.settled()
        assert not wire.cell.seen


ALLOWED = [b"X-Checksum: sha-256=:\xe9\xff:", b"Server-Timing: a;dur=1", b"x-checksum: 2"]


@pytest.mark.parametrize("count", [1, 3])
async def test_trailers_that_are_harmless_travel_with_their_body(wire: Wire, count: int) -> None:
    """In order, and byte for byte."""
    seen = await wire.forwarded(trailed(*ALLOWED[:count]))
    assert seen.body == b"hello"
    assert seen.wire.endswith(b"\r\n0\r\n" + b"".join(line + b"\r\n" for line in ALLOWED[:count]) + b"\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close", b"Keep-Alive: timeout=5", b"TE: trailers", b"Trailer: X", b"Upgrade: websocket",
        b"X-Forwarded-For: 10.0.0.1", b"Forwarded: for=10.0.0.1", b"X_Tenant: beta", b"Cellway_Tenant: beta",
        b"Content_Length: 9", b"Transfer_Encoding: chunked", b"X-Request-Id: forged", b"Via: 1.1 x",
        b"Expect: 100-continue", b"Idempotency-Key: other", b"Proxy-Authorization: x",
    ],
)  # fmt: skip
async def test_what_means_something_in_a_head_is_no_trailer(wire: Wire, line: bytes) -> None:
    """Refused, or left behind: a cell that merges trailers into the head must not be misled."""
    answers = await wire.exchange(trailed(line, b"X-Checksum: 1"))
    assert answers.final.start[0] in (200, 400)
    await wire.settled()
    assert not wire.cell.faults
    for seen in wire.cell.seen:
        assert seen.body == b"hello"
        assert line not in seen.wire
        assert {name for name, _ in seen.message.trailers} <= {b"x-checksum"}


async def test_a_trailer_is_no_header_of_the_next_request(wire: Wire) -> None:
    """Behind a proxy the next request on the connection is another client's."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([trailed(b"X-Note: planted"), request(line=b"GET /next HTTP/1.1")])
        await speaker.until_answered(2)
    for seen in wire.cell.seen[1:]:
        assert b"planted" not in seen.wire
    assert [seen.target for seen in wire.cell.seen][:1] == [b"/x"]


@pytest.mark.parametrize("length", [70_000, 300_000])
@pytest.mark.parametrize("bad", [b"zz\r\n", b"5\r\nhelloXX", b"0\r\nX : y\r\n\r\n", b"0\r\nHost: beta\r\n\r\n"])
async def test_a_body_that_goes_wrong_late_never_ends_at_the_cell(wire: Wire, length: int, bad: bytes) -> None:
    """It is too large to be read ahead, so the cell may have its beginning: it sees the connection end."""
    wire.cell.forget()
    good = b"%x\r\n%s\r\n" % (length, b"a" * length)
    async with wire.speaking() as speaker:
        await speaker.send([chunks(good), bad])
        said = await speaker.until_closed()
    answers = said.answers(b"POST")
    assert not answers.messages or answers.final.start[0] == 400
    await wire.settled()
    assert not wire.cell.seen
    assert not wire.cell.faults
    assert all(not line.pending for line in wire.cell.open)
