"""Answers of a cell that are not passed on: 502 or a cut, and the connection is never used again (RFC 9112)."""

import pytest

from tests.router.bytes.messages import BODY, CHUNKED, LAST, request, response, sized
from tests.router.bytes.wire import Reply, Said, Wire

FIVE = b"Content-Length: 5"
CONTROLS = [byte for byte in (*range(32), 127) if byte not in b"\t\r\n"]


def line(data: bytes) -> bytes:
    return response(b"Content-Length: 2", line=data, body=b"ok")


HEADS = {
    "two lengths": response(FIVE, FIVE, body=b"hello"),
    "two different lengths": response(FIVE, b"Content-Length: 6", body=b"hello!"),
    "a list of lengths": response(b"Content-Length: 5, 5", body=b"hello"),
    "length and coding": response(FIVE, CHUNKED, body=BODY),
    "coding and length": response(CHUNKED, FIVE, body=BODY),
    "length plus": response(b"Content-Length: +5", body=b"hello"),
    "length minus": response(b"Content-Length: -5", body=b"hello"),
    "length hexadecimal": response(b"Content-Length: 0x5", body=b"hello"),
    "length empty": response(b"Content-Length:"),
    "length with a letter": response(b"Content-Length: 5a", body=b"hello"),
    "length with a decimal point": response(b"Content-Length: 5.0", body=b"hello"),
    "length with a vertical tab": response(b"Content-Length: \x0b5", body=b"hello"),
    "length of Latin-1": response(b"Content-Length: \xb2", body=b"he"),
    "length of 2**64 + 5": response(b"Content-Length: 18446744073709551621", body=b"hello"),
    "length twenty digits": response(b"Content-Length: 99999999999999999999"),
    "length and a space before the colon": response(b"Content-Length : 5", body=b"hello"),
    "coding twice": response(CHUNKED, CHUNKED, body=BODY),
    "coding twice in one line": response(b"Transfer-Encoding: chunked, chunked", body=BODY),
    "coding gzip": response(b"Transfer-Encoding: gzip", body=b"hello"),
    "coding gzip, chunked": response(b"Transfer-Encoding: gzip, chunked", body=BODY),
    "coding chunked, gzip": response(b"Transfer-Encoding: chunked, gzip", body=BODY),
    "coding identity": response(b"Transfer-Encoding: identity", body=b"hello"),
    "coding xchunked": response(b"Transfer-Encoding: xchunked", body=BODY),
    "coding empty": response(b"Transfer-Encoding:", body=BODY),
    "coding with a vertical tab": response(b"Transfer-Encoding: \x0bchunked", body=BODY),
    "coding with a Kelvin sign": response("Transfer-Encoding: chun\u212aed".encode(), body=BODY),
    "coding in HTTP/1.0": response(CHUNKED, line=b"HTTP/1.0 200 OK", body=BODY),
    "coding and a space before the colon": response(b"Transfer-Encoding : chunked", body=BODY),
    "an unasked 101": response(b"Connection: Upgrade", b"Upgrade: x", line=b"HTTP/1.1 101 Switching Protocols"),
    "an unasked 101 to WebSocket": response(
        b"Connection: Upgrade", b"Upgrade: websocket", line=b"HTTP/1.1 101 Switching Protocols"
    ),
    "a bare 101": response(line=b"HTTP/1.1 101 Switching Protocols"),
    "a bare 101, and an answer": response(line=b"HTTP/1.1 101 Switching Protocols") + sized(b"ok"),
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/0.9 with lines": b"hello\r\nworld\r\n\r\n",
    "nothing but an end": b"\r\n\r\n",
    "version 0.9": line(b"HTTP/0.9 200 OK"),
    "version 2.0": line(b"HTTP/2.0 200 OK"),
    "version 2": line(b"HTTP/2 200 OK"),
    "version 1.2": line(b"HTTP/1.2 200 OK"),
    "version 1.10": line(b"HTTP/1.10 200 OK"),
    "version in lower case": line(b"http/1.1 200 OK"),
    "version of ICY": line(b"ICY 200 OK"),
    "version of RTSP": line(b"RTSP/1.0 200 OK"),
    "version behind a space": line(b" HTTP/1.1 200 OK"),
    "no status": line(b"HTTP/1.1 OK"),
    "status alone": line(b"HTTP/1.1"),
    "status of letters": line(b"HTTP/1.1 abc OK"),
    "status of two digits": line(b"HTTP/1.1 20 OK"),
    "status of four digits": line(b"HTTP/1.1 2000 OK"),
    "status 0": line(b"HTTP/1.1 000 OK"),
    "status 099": line(b"HTTP/1.1 099 OK"),
    "status 600": line(b"HTTP/1.1 600 OK"),
    "status 999": line(b"HTTP/1.1 999 OK"),
    "status plus": line(b"HTTP/1.1 +200 OK"),
    "status minus": line(b"HTTP/1.1 -200 OK"),
    "status behind two spaces": line(b"HTTP/1.1  200 OK"),
    "status behind a tab": line(b"HTTP/1.1\t200 OK"),
    "status and a comma": line(b"HTTP/1.1 200,OK"),
    "status of Latin-1": line(b"HTTP/1.1 20\xb2 OK"),
    "reason with a NUL": line(b"HTTP/1.1 200 O\x00K"),
    "reason with a control byte": line(b"HTTP/1.1 200 O\x1bK"),
    "reason with a bare CR": line(b"HTTP/1.1 200 O\rK"),
    "reason with a bare LF": line(b"HTTP/1.1 200 O\nK"),
    "a bare LF behind the status line": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "a bare LF behind a header": b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nok",
    "a bare LF at the end of the head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    "bare LFs everywhere": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a bare CR behind the status line": b"HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok",
    "a bare CR in a value": response(b"X: a\rb", b"Content-Length: 2", body=b"ok"),
    "a bare CR behind a value": response(b"X: a\r", b"Content-Length: 2", body=b"ok"),
    "a fold": response(b"X: a\r\n b", b"Content-Length: 2", body=b"ok"),
    "a fold with a tab": response(b"X: a\r\n\tb", b"Content-Length: 2", body=b"ok"),
    "a fold in the first line": response(b" X: a", b"Content-Length: 2", body=b"ok"),
    "a space before a colon": response(b"X : a", b"Content-Length: 2", body=b"ok"),
    "an empty name": response(b": a", b"Content-Length: 2", body=b"ok"),
    "no colon": response(b"X", b"Content-Length: 2", body=b"ok"),
    "a high byte in a name": response(b"X\xe9: a", b"Content-Length: 2", body=b"ok"),
    "a space in a name": response(b"X Y: a", b"Content-Length: 2", body=b"ok"),
    "a parenthesis in a name": response(b"X(: a", b"Content-Length: 2", body=b"ok"),
    **{
        f"byte {byte:02x} in a value": response(b"X: a%cb" % byte, b"Content-Length: 2", body=b"ok")
        for byte in CONTROLS
    },
    "a head that is too large": response(*(b"X: %s" % (b"a" * 1000) for _ in range(1000)), body=b"ok"),
    "a line that is too long": response(b"X: " + b"a" * 1_000_000, b"Content-Length: 2", body=b"ok"),
    "a reason that is too long": line(b"HTTP/1.1 200 " + b"a" * 1_000_000),
    "half a status line": b"HTTP/1.1 20",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without its end": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "nothing": b"",
    "an interim answer alone": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "an interim answer with a length": response(
        b"Content-Length: 2", line=b"HTTP/1.1 103 Early Hints", body=b"ok"
    ),
    "an interim answer in chunks": response(CHUNKED, line=b"HTTP/1.1 102 Processing", body=BODY),
    "an interim answer with an odd length": response(b"Content-Length: +5", line=b"HTTP/1.1 103 Early Hints")
    + sized(b"ok"),
    "an interim answer with two lengths": response(FIVE, b"Content-Length: 6", line=b"HTTP/1.1 103 Early Hints")
    + sized(b"ok"),
    "an interim answer with a fold": response(b"X: a\r\n b", line=b"HTTP/1.1 103 Early Hints") + sized(b"ok"),
    "an interim answer with a NUL": response(b"X: \x00", line=b"HTTP/1.1 103 Early Hints") + sized(b"ok"),
    "bytes behind a length": sized(b"ok") + b"X",
    "an answer behind a length": sized(b"ok") + sized(b"planted"),
    "bytes behind the last chunk": response(CHUNKED, body=BODY) + b"X",
    "an answer behind the last chunk": response(CHUNKED, body=BODY) + sized(b"planted"),
    "an empty line behind a length": sized(b"ok") + b"\r\n",
    "a body behind 204": response(line=b"HTTP/1.1 204 No Content", body=b"hello"),
    "a body behind 304": response(FIVE, line=b"HTTP/1.1 304 Not Modified", body=b"hello"),
    "chunks behind 204": response(CHUNKED, line=b"HTTP/1.1 204 No Content", body=BODY),
}

BODIES = {
    "truncated length": response(b"Content-Length: 10", body=b"hello"),
    "no byte of a length": response(b"Content-Length: 10"),
    "truncated chunk": response(CHUNKED, body=b"5\r\nhel"),
    "no last chunk": response(CHUNKED, body=b"5\r\nhello\r\n"),
    "half a last chunk": response(CHUNKED, body=b"5\r\nhello\r\n0\r\n"),
    "no chunk": response(CHUNKED),
    "half a size": response(CHUNKED, body=b"5"),
    "half of the trailers": response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: y\r\n"),
    "an odd size": response(CHUNKED, body=b"5\r\nhello\r\nzz\r\n" + LAST),
    "a signed size": response(CHUNKED, body=b"+5\r\nhello\r\n" + LAST),
    "a size with 0x": response(CHUNKED, body=b"0x5\r\nhello\r\n" + LAST),
    "a size behind a space": response(CHUNKED, body=b" 5\r\nhello\r\n" + LAST),
    "a size of Latin-1": response(CHUNKED, body=b"\xb2\r\nhe\r\n" + LAST),
    "a size of 2**64 + 5": response(CHUNKED, body=b"10000000000000005\r\nhello\r\n" + LAST),
    "a bare LF behind a size": response(CHUNKED, body=b"5\nhello\r\n" + LAST),
    "a bare LF behind a chunk": response(CHUNKED, body=b"5\r\nhello\n" + LAST),
    "a bare CR behind a size": response(CHUNKED, body=b"5\rhello\r\n" + LAST),
    "no CRLF behind a chunk": response(CHUNKED, body=b"5\r\nhello" + LAST),
    "two bytes in place of CRLF": response(CHUNKED, body=b"5\r\nhelloXX" + LAST),
    "more than the size says": response(CHUNKED, body=b"3\r\nhello\r\n" + LAST),
    "an extension with a bare LF": response(CHUNKED, body=b"5;a\nhello\r\n" + LAST),
    "bare LFs at the end": response(CHUNKED, body=b"5\r\nhello\r\n0\n\n"),
    "a trailer with a fold": response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    "a trailer with a NUL": response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"),
    "a trailer with a bare LF": response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
    "a trailer without a colon": response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
}


async def told(wire: Wire, reply: Reply, *, data: bytes | None = None) -> Said:
    """What a client is told when its cell answers so, up to where the client knows the end."""
    wire.cell.forget()
    wire.cell.answering = lambda _forwarded: reply
    async with wire.speaking() as speaker:
        await speaker.send([data or request()])
        while speaker.state == "open" and not speaker.said.answers().complete:
            await speaker._more()
        return speaker.said


async def not_passed_on(wire: Wire, reply: Reply, *, data: bytes | None = None) -> None:
    """The client gets 502, or less than a whole answer; the cell's connection ends."""
    said = await told(wire, reply, data=data)
    answers = said.answers()
    if answers.complete:
        assert answers.final.start[0] == 502, said
        assert answers.final.values(b"content-type") == [b"application/problem+json"]
        assert all(not each.values(b"content-length") for each in answers.messages[:-1])
    assert b"planted" not in said.raw
    tried = {seen.connection for seen in wire.cell.seen}
    for connection in tried:
        await wire.not_used_again(connection)


@pytest.mark.parametrize("name", HEADS)
async def test_an_answer_whose_head_or_end_is_in_doubt_is_not_passed_on(wire: Wire, name: str) -> None:
    """502: nothing of it was told yet. The cell closes behind it, so nobody waits for more."""
    await not_passed_on(wire, Reply([HEADS[name]], "close"))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in HEADS
        if not name.startswith(("half", "nothing", "a head without", "an interim answer alone"))
    ],
)
async def test_nobody_waits_for_more_of_what_is_wrong_already(wire: Wire, name: str) -> None:
    """The cell leaves the connection open; the router says so at once."""
    if name in ("HTTP/0.9 with lines", "version of ICY") or name.startswith("an interim answer with a length"):
        pytest.skip("what is wrong shows only with more, or with the end")
    await not_passed_on(wire, Reply([HEADS[name]], "keep"))


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_goes_wrong_never_looks_whole(wire: Wire, name: str, version: bytes, then: str) -> None:
    """502 while nothing was told, else a cut. With HTTP/1.0 the end of the connection would end the body, so it
    has to be a reset.
    """
    head, _, body = BODIES[name].partition(b"\r\n\r\n")
    pieces = [piece for piece in (head + b"\r\n\r\n", body) if piece]
    for reply in (Reply([BODIES[name]], then), Reply(pieces, then)):
        said = await told(wire, reply, data=request(line=b"GET /x HTTP/" + version))
        if said.answers().complete:
            assert said.answers().final.start[0] == 502, said
        [seen] = wire.cell.seen
        await wire.not_used_again(seen.connection)


async def test_a_reset_in_a_body_that_ends_with_the_connection_is_told(wire: Wire) -> None:
    """Only a close in good order ends such a body."""
    for version in (b"1.1", b"1.0"):
        reply = Reply([response(body=b"hel"), b"lo"], "reset")
        said = await told(wire, reply, data=request(line=b"GET /x HTTP/" + version))
        assert not said.answers().complete or said.answers().final.start[0] == 502


@pytest.mark.parametrize("late", [b"X", b"\r\n", sized(b"planted"), b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("first", [sized(b"ok"), response(CHUNKED, body=BODY)], ids=["length", "chunks"])
async def test_what_comes_late_is_nobodys_answer(wire: Wire, first: bytes, late: bytes) -> None:
    """Bytes behind the end, in a segment of their own: the answer was whole, and that connection is done."""
    answers = await wire.exchange(request(), reply=Reply([first, late]))
    assert answers.final.start[0] in (200, 502)
    assert not answers.rest
    [seen] = wire.cell.seen
    await wire.not_used_again(seen.connection)


async def test_an_answer_that_nobody_asked_for_is_nobodys_answer(wire: Wire) -> None:
    """Sent on a kept connection before the next request: that request gets its own."""
    wire.cell.forget()
    await wire.exchange(request(), reply=Reply([sized(b"first"), sized(b"planted")]))
    for number in range(3):
        wire.cell.forget()
        answers = await wire.exchange(request(line=b"GET /%d HTTP/1.1" % number))
        assert answers.final.body == b"GET /%d" % number


async def test_interim_answers_without_a_final_one_are_no_answer(wire: Wire) -> None:
    """However many come: the client gets 502 at the end, or a cut."""
    endless = [b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n" % (b"a" * 1000)] * 1000
    said = await told(wire, Reply([b"".join(endless)], "close"))
    assert not said.answers().complete or said.answers().final.start[0] == 502
