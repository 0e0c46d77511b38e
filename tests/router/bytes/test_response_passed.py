"""Answers of a cell that are passed on: framing, interim answers, trailers, and which headers a client sees."""

import gzip
import re

import pytest

from tests.router.bytes.messages import BODY, CHUNKED, request, response, sized
from tests.router.bytes.views import Answers
from tests.router.bytes.wire import Reply, Wire

HTTP_1_0 = request(line=b"GET /x HTTP/1.0")
HEAD = request(line=b"HEAD /x HTTP/1.1")
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TRAILED = response(
    CHUNKED, b"Trailer: X-Sum", body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nServer-Timing: a;dur=1\r\n\r\n"
)


async def passed(
    wire: Wire, *pieces: bytes, data: bytes | None = None, method: bytes = b"GET", then: str = "keep"
) -> Answers:
    """What a client gets when its cell answers so."""
    answers = await wire.exchange(data or request(), method=method, reply=Reply(pieces, then))
    assert answers.complete
    assert not answers.rest
    assert not wire.cell.faults
    return answers


async def test_a_length_passes_as_it_is(wire: Wire) -> None:
    """And the connection is used again."""
    first = await passed(wire, sized(b"hello"))
    assert (first.final.body, first.final.values(b"content-length")) == (b"hello", [b"5"])
    await passed(wire, sized(b"hello"))
    assert wire.cell.seen[0].connection in {line._number for line in wire.cell.open}


@pytest.mark.parametrize(
    "body",
    [BODY, b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"005\r\nhello\r\n000\r\n\r\n"],
    ids=["one", "two", "zeros"],
)
async def test_chunks_pass_as_chunks(wire: Wire, body: bytes) -> None:
    """However they are cut."""
    answers = await passed(wire, response(CHUNKED, body=body))
    assert answers.final.body == b"hello"
    assert answers.final.values(b"transfer-encoding") == [b"chunked"]
    assert not answers.final.values(b"content-length")


@pytest.mark.parametrize("body", [b"5;a=b\r\nhello\r\n0\r\n\r\n", b'5;a="b"\r\nhello\r\n0;c\r\n\r\n'])
async def test_chunk_extensions_are_not_passed_on(wire: Wire, body: bytes) -> None:
    """They belong to one connection (RFC 9112 section 7.1.1)."""
    answers = await passed(wire, response(CHUNKED, body=body))
    assert answers.final.start[0] in (200, 502)
    assert answers.final.start[0] == 502 or answers.final.body == b"hello"


@pytest.mark.parametrize("pieces", [[b"hel", b"lo"], [b"hello"], [b""]])
async def test_a_body_that_ends_with_the_connection_becomes_chunks(wire: Wire, pieces: list[bytes]) -> None:
    """So that HTTP/1.1 clients can tell its end from a failure, and keep their connection."""
    answers = await passed(wire, response() + pieces[0], *pieces[1:], then="close")
    assert answers.final.body == b"".join(pieces)
    assert answers.final.values(b"transfer-encoding") == [b"chunked"]
    assert not answers.final.values(b"connection")


@pytest.mark.parametrize(
    ("reply", "then"),
    [(response(CHUNKED, body=BODY), "keep"), (response(body=b"hello"), "close"), (TRAILED, "keep")],
)
async def test_an_http_1_0_client_gets_a_body_without_chunks(wire: Wire, reply: bytes, then: str) -> None:
    """It ends with the connection, also for a client that would keep it; trailers are left out."""
    for data in (HTTP_1_0, request(b"Connection: keep-alive", line=b"GET /x HTTP/1.0")):
        wire.cell.forget()
        wire.cell.answering = lambda _forwarded: Reply([reply], then)
        async with wire.speaking() as speaker:
            await speaker.send([data])
            said = await speaker.until_closed()
        assert said.state == "closed"
        head, _, body = said.raw.partition(b"\r\n\r\n")
        assert body == b"hello"
        assert b"transfer-encoding" not in head.lower()
        assert b"\r\nconnection: close" in head.lower()


@pytest.mark.parametrize("option", [None, b"keep-alive", b"close"])
async def test_an_http_1_0_answer_passes(wire: Wire, option: bytes | None) -> None:
    """Its connection is used again only if it says so; the client is answered in the router's own version."""
    lines = [] if option is None else [b"Connection: " + option]
    answers = await passed(wire, sized(b"hello", *lines, line=b"HTTP/1.0 200 OK"))
    assert answers.final.body == b"hello"
    assert not answers.final.values(b"connection")
    [seen] = wire.cell.seen
    if option != b"keep-alive":
        await wire.not_used_again(seen.connection)


@pytest.mark.parametrize("option", [b"close", b"Close", b"x, close"])
async def test_a_cell_that_wants_to_close_is_left_alone(wire: Wire, option: bytes) -> None:
    """The client's own connection stays."""
    wire.cell.forget()
    wire.cell.answering = lambda _forwarded: Reply([sized(b"ok", b"Connection: " + option)])
    async with wire.speaking() as speaker:
        await speaker.send([request()])
        [first] = await speaker.until_answered(1)
        assert not first.final.values(b"connection")
        await speaker.send([request()])
        assert (await speaker.until_answered(1))[0].complete
    assert wire.cell.seen[0].connection != wire.cell.seen[1].connection


@pytest.mark.parametrize("interim", [EARLY, PROCESSING, PROCESSING + EARLY, EARLY + EARLY])
async def test_interim_answers_are_passed_on(wire: Wire, interim: bytes) -> None:
    """To HTTP/1.1 clients, at once and in order, whether or not the final one is there."""
    for pieces in ([interim + sized(b"ok")], [interim, sized(b"ok")], [interim[:9], interim[9:], sized(b"ok")]):
        answers = await passed(wire, *pieces)
        statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d+)", interim)]
        assert [each.start[0] for each in answers.messages] == [*statuses, 200]
        links = [each.values(b"link") for each in answers.messages if each.start[0] == 103]
        assert links == [[b"</a.css>; rel=preload"]] * statuses.count(103)
        assert answers.final.body == b"ok"


@pytest.mark.parametrize("interim", [EARLY, PROCESSING, CONTINUE])
async def test_http_1_0_clients_get_no_interim_answer(wire: Wire, interim: bytes) -> None:
    """They know none (RFC 9110 section 15.2)."""
    answers = await passed(wire, interim + sized(b"ok"), data=HTTP_1_0)
    assert [each.start[0] for each in answers.messages] == [200]


@pytest.mark.parametrize(
    "pieces",
    [[CONTINUE + sized(b"ok")], [CONTINUE, sized(b"ok")], [CONTINUE * 3 + sized(b"ok")]],
)
async def test_an_unasked_100_is_not_passed_on(wire: Wire, pieces: list[bytes]) -> None:
    """The router itself tells clients to go on."""
    answers = await passed(wire, *pieces)
    assert [each.start[0] for each in answers.messages] == [200]


async def test_an_interim_answer_tells_nothing_that_a_final_one_would_not(wire: Wire) -> None:
    """Neither which software runs, nor what is between router and cell."""
    lines = [b"Server: secret", b"X-Powered-By: secret", b"Cellway-Epoch: 5", b"Connection: X", b"X: secret"]
    early = response(*lines, b"Link: </a>", line=b"HTTP/1.1 103 Early Hints")
    answers = await passed(wire, early + sized(b"ok"))
    assert [each.start[0] for each in answers.messages] == [103, 200]
    names = {name for name, _ in answers.messages[0].headers}
    assert b"link" in names
    assert not names & {b"server", b"x-powered-by", b"cellway-epoch", b"connection", b"x"}


async def test_trailers_are_passed_on(wire: Wire) -> None:
    """Byte for byte, to HTTP/1.1 clients."""
    for pieces in ([TRAILED], [TRAILED[:-20], TRAILED[-20:]], [TRAILED[:40], TRAILED[40:-2], TRAILED[-2:]]):
        answers = await passed(wire, *pieces)
        assert answers.final.body == b"hello"
        assert answers.final.trailers == ((b"x-sum", b"1"), (b"server-timing", b"a;dur=1"))


@pytest.mark.parametrize(
    "line",
    [b"Cellway-Tenant: beta", b"Connection: close", b"X-Request-Id: forged", b"Content-Length: 5", b"Trailer: X"],
)  # fmt: skip
async def test_what_a_head_does_not_show_trailers_do_not_show(wire: Wire, line: bytes) -> None:
    """Left out, or all of it is cut."""
    reply = response(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n")
    answers = await wire.exchange(request(), reply=Reply([reply]))
    if answers.complete and answers.final.start[0] == 200:
        assert answers.final.body == b"hello"
        assert not answers.final.trailers


@pytest.mark.parametrize(
    "reply",
    [
        response(b"Content-Length: 5"), response(CHUNKED), response(), response(b"Content-Length: 0"),
        response(b"Content-Length: 5", line=b"HTTP/1.1 404 Not Found"),
    ],
)  # fmt: skip
async def test_an_answer_to_head_has_no_body(wire: Wire, reply: bytes) -> None:
    """But keeps the length that the body would have."""
    answers = await passed(wire, reply, data=HEAD, method=b"HEAD")
    assert answers.final.body == b""
    expected = re.findall(rb"Content-Length: (\d)", reply)
    assert answers.final.values(b"content-length") == expected
    await passed(wire, sized(b"ok"))


async def test_a_body_behind_an_answer_to_head_is_nobodys(wire: Wire) -> None:
    """The client gets the head or 502, and the connection is done."""
    answers = await wire.exchange(HEAD, method=b"HEAD", reply=Reply([sized(b"planted")]))
    assert answers.final.start[0] in (200, 502)
    assert b"planted" not in answers.rest
    await wire.not_used_again(wire.cell.seen[0].connection)


@pytest.mark.parametrize(
    ("line", "length", "told"),
    [
        (b"HTTP/1.1 204 No Content", None, []),
        (b"HTTP/1.1 204 No Content", b"0", []),
        (b"HTTP/1.1 204 No Content", b"5", []),
        (b"HTTP/1.1 304 Not Modified", None, []),
        (b"HTTP/1.1 304 Not Modified", b"5", [b"5"]),
    ],
)
async def test_204_and_304_have_no_body(wire: Wire, line: bytes, length: bytes | None, told: list[bytes]) -> None:
    """A length says nothing with 204, and how long the body would be with 304 (RFC 9110 section 8.6)."""
    lines = [] if length is None else [b"Content-Length: " + length]
    answers = await passed(wire, response(*lines, line=line))
    if answers.final.start[0] != 502 or length in (None, b"0"):
        assert answers.final.start[0] == int(line[9:12])
        assert answers.final.body == b""
        assert answers.final.values(b"content-length") == told
        assert not answers.final.values(b"transfer-encoding")


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 299 Caf\xe9 \xff", b"HTTP/1.1 418 I'm a teapot",
        b"HTTP/1.1 500 a\tb", b"HTTP/1.1 599 x", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 301 Moved",
    ],
)  # fmt: skip
async def test_status_and_reason_pass_byte_for_byte(wire: Wire, line: bytes) -> None:
    """Also a reason that is empty or no UTF-8."""
    wire.cell.forget()
    wire.cell.answering = lambda _forwarded: Reply([sized(b"ok", line=line)])
    async with wire.speaking() as speaker:
        await speaker.send([request(b"Connection: close")])
        assert (await speaker.until_closed()).raw.startswith(line + b"\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"X-Caf: \xe9\xff", b"X-Utf: \xc3\xa9\xf0\x9f\x98\x80", b"X-Empty:", b"X-Tab: a\tb", b"set-COOKIE: a=b",
        b"Content-Type: text/plain", b"ETag: W/\"x\"", b"X_Odd: 1", b"X-Long: " + b"a" * 8000, b"Age: 1",
        b"WWW-Authenticate: Bearer", b"Content-Encoding: gzip", b"Alt-Svc: clear", b"X-Cellway-Like: 1",
    ],
)  # fmt: skip
async def test_a_header_passes_byte_for_byte(wire: Wire, line: bytes) -> None:
    """Its name keeps its case."""
    wire.cell.forget()
    wire.cell.answering = lambda _forwarded: Reply([sized(b"ok", line)])
    async with wire.speaking() as speaker:
        await speaker.send([request(b"Connection: close")])
        raw = (await speaker.until_closed()).raw
    name, _, value = line.partition(b":")
    assert b"\r\n%s\r\n" % line in raw or b"\r\n%s: %s\r\n" % (name, value.strip()) in raw


async def test_repeated_headers_keep_their_order(wire: Wire) -> None:
    """Cookies above all."""
    lines = [b"Set-Cookie: a=1", b"X: 1", b"set-cookie: b=2", b"Set-Cookie: a=1"]
    answers = await passed(wire, sized(b"ok", *lines))
    assert answers.final.values(b"set-cookie") == [b"a=1", b"b=2", b"a=1"]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Server: nginx/1.22.1"], [b"server: a", b"Server: b"], [b"X-Powered-By: Python"],
        [b"Cellway-Tenant: acme"], [b"cellway-epoch: 5"], [b"Cellway-Anything: x"], [b"Keep-Alive: timeout=5"],
        [b"Proxy-Authenticate: Basic"], [b"Proxy-Connection: keep-alive"], [b"TE: trailers"], [b"Trailer: X"],
        [b"Upgrade: h2c"], [b"Connection: X-Gone", b"X-Gone: planted"],
        [b"X-Gone: planted", b"connection: a,  x-gOnE"],
    ],
)  # fmt: skip
async def test_a_client_does_not_see_what_is_not_meant_for_it(wire: Wire, lines: list[bytes]) -> None:
    """What belongs to the cell's connection, tells of its software, or is between router and cell."""
    answers = await passed(wire, sized(b"ok", *lines, b"X-Kept: 1"))
    names = {name for name, _ in answers.final.headers}
    assert not names & {line.partition(b":")[0].lower() for line in lines}
    assert b"connection" not in names
    assert b"x-kept" in names


async def test_nothing_is_made_up_but_a_date_and_the_request_id(wire: Wire) -> None:
    """Neither a Content-Type nor a Server."""
    answers = await passed(wire, sized(b"ok"))
    assert {name for name, _ in answers.final.headers} == {b"content-length", b"date", b"x-request-id"}
    [date] = answers.final.values(b"date")
    assert re.fullmatch(rb"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT", date)


async def test_a_date_that_is_there_stays(wire: Wire) -> None:
    """RFC 9110 section 6.6.1."""
    answers = await passed(wire, sized(b"ok", b"Date: Thu, 01 Jan 1970 00:00:00 GMT", b"X-Request-Id: forged"))
    assert answers.final.values(b"date") == [b"Thu, 01 Jan 1970 00:00:00 GMT"]
    assert answers.final.values(b"x-request-id") != [b"forged"]


async def test_a_compressed_body_passes_untouched(wire: Wire) -> None:
    """With its own length, or in chunks."""
    packed = gzip.compress(b"hello" * 1000)
    answers = await passed(wire, sized(packed, b"Content-Encoding: gzip"))
    assert (answers.final.body, answers.final.values(b"content-length")) == (packed, [b"%d" % len(packed)])
    chunked = response(CHUNKED, b"Content-Encoding: gzip", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed))
    assert (await passed(wire, chunked)).final.body == packed


@pytest.mark.parametrize(
    ("reply", "then"),
    [
        pytest.param(sized(b"hello", b"X-Caf: \xe9"), "keep", id="length"),
        pytest.param(response(CHUNKED, body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "keep", id="chunks"),
        pytest.param(EARLY + TRAILED, "keep", id="interim and trailers"),
        pytest.param(response(b"X: y", body=b"hello"), "close", id="until closed"),
    ],
)
async def test_where_segments_end_changes_nothing(wire: Wire, reply: bytes, then: str) -> None:
    """At every offset the client sees the same answer."""

    def fixed(answers: Answers) -> object:
        return [
            (
                each.start,
                [h for h in each.headers if h[0] not in (b"date", b"x-request-id")],
                each.body,
                each.trailers,
            )
            for each in answers.messages
        ]

    whole = fixed(await passed(wire, reply, then=then))
    for offset in range(1, len(reply)):
        assert fixed(await passed(wire, reply[:offset], reply[offset:], then=then)) == whole, offset
    bytewise = await passed(wire, *(bytes([byte]) for byte in reply), then=then)
    assert fixed(bytewise) == whole
