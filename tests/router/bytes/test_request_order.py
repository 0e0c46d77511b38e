"""One connection, many requests: order, segments, keeping it open, and `Expect` (RFC 9112 section 9)."""

import pytest

from tests.router.bytes.messages import (
    AUTH,
    BODY,
    CHUNKED,
    HOST,
    OTHER_KEY,
    chunks,
    post,
    request,
    sized,
    trailed,
)
from tests.router.bytes.wire import Forwarded, Reply, Wire

BETA = request(line=b"GET /beta HTTP/1.1", host=b"Host: beta.api.localhost").replace(
    AUTH, b"Authorization: Bearer " + OTHER_KEY
)


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    """Each gets its own answer, whatever the framing of the one before."""
    wire.cell.forget()
    data = [
        request(line=b"GET /1 HTTP/1.1"),
        request(CHUNKED, line=b"POST /2 HTTP/1.1", body=BODY),
        request(b"Content-Length: 5", line=b"POST /3 HTTP/1.1", body=b"hello"),
        BETA,
        request(line=b"GET /5 HTTP/1.1", host=b"Host: nobody.api.localhost"),
        request(line=b"GET /6 HTTP/1.1"),
    ]
    async with wire.speaking() as speaker:
        await speaker.send([b"".join(data)])
        answers = await speaker.until_answered(len(data))
    assert [each.final.start[0] for each in answers] == [200, 200, 200, 200, 404, 200]
    bodies = [each.final.body for each in answers if each.final.start[0] == 200]
    assert bodies == [b"GET /1", b"POST /2", b"POST /3", b"GET /beta", b"GET /6"]
    assert [seen.values(b"cellway-tenant") for seen in wire.cell.seen] == [
        [b"acme"], [b"acme"], [b"acme"], [b"beta"], [b"acme"],
    ]  # fmt: skip


async def test_a_head_answer_does_not_shift_the_ones_behind_it(wire: Wire) -> None:
    """HEAD has the length of a body that does not come."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([request(line=b"HEAD /1 HTTP/1.1") + request(line=b"GET /2 HTTP/1.1")])
        [first] = await speaker.until_answered(1, b"HEAD")
        [second] = await speaker.until_answered(1)
    assert (first.final.body, second.final.body) == (b"", b"GET /2")


async def test_answers_of_two_clients_are_never_mixed(wire: Wire) -> None:
    """Though they share the cell's connections."""
    wire.cell.forget()
    async with wire.speaking() as one, wire.speaking() as other:
        for number in range(20):
            await one.send([request(line=b"GET /one/%d HTTP/1.1" % number)])
            await other.send([request(line=b"GET /other/%d HTTP/1.1" % number)])
        ones, others = await one.until_answered(20), await other.until_answered(20)
    assert [each.final.body for each in ones] == [b"GET /one/%d" % number for number in range(20)]
    assert [each.final.body for each in others] == [b"GET /other/%d" % number for number in range(20)]


@pytest.mark.parametrize(
    ("version", "option", "kept"),
    [
        (b"1.1", None, True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Close", False),
        (b"1.1", b"x, close", False),
        (b"1.1", b"keep-alive, close", False),
        (b"1.0", None, False),
        (b"1.0", b"keep-alive", True),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"close", False),
        (b"1.0", b"close, keep-alive", False),
    ],
)
async def test_the_connection_is_kept_as_the_client_wants(
    wire: Wire, version: bytes, option: bytes | None, kept: bool
) -> None:
    """RFC 9112 section 9.3: `close` always wins. What becomes of it is said."""
    wire.cell.forget()
    lines = [] if option is None else [b"Connection: " + option]
    async with wire.speaking() as speaker:
        await speaker.send([request(*lines, line=b"GET /1 HTTP/" + version)])
        [first] = await speaker.until_answered(1)
        expected = [] if kept and version == b"1.1" else [b"keep-alive"] if kept else [b"close"]
        assert [value.lower() for value in first.final.values(b"connection")] == expected
        if kept:
            await speaker.send([request(line=b"GET /2 HTTP/1.1")])
            [second] = await speaker.until_answered(1)
            assert second.final.body == b"GET /2"
        else:
            assert (await speaker.until_closed()).state == "closed"


async def test_nothing_behind_a_closing_request_is_looked_at(wire: Wire) -> None:
    """RFC 9112 section 9.6."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([request(b"Connection: close", line=b"GET /1 HTTP/1.1") + request()])
        said = await speaker.until_closed()
    assert said.answers().complete
    assert not said.answers().rest
    await wire.settled()
    assert [seen.target for seen in wire.cell.seen] == [b"/1"]


async def test_a_refusal_comes_in_its_turn(wire: Wire) -> None:
    """What came before an odd request is answered first, and what comes behind it never."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send(
            [request(line=b"GET /1 HTTP/1.1") + request(b"X : y") + request(line=b"GET /3 HTTP/1.1")]
        )
        first, second = await speaker.until_answered(2)
        assert (first.final.body, second.final.start[0]) == (b"GET /1", 400)
        assert (await speaker.until_closed()).raw == b""
    await wire.settled()
    assert [seen.target for seen in wire.cell.seen] == [b"/1"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request(b"X-Caf: \xe9", b"Cookie: a=1"), id="GET"),
        pytest.param(post(b"Content-Length: 5", body=b"hello"), id="length"),
        pytest.param(chunks(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), id="chunks"),
    ],
)
async def test_where_segments_end_changes_nothing(wire: Wire, data: bytes) -> None:
    """At every offset the cell gets the same bytes, but for what is fresh in each request."""
    whole = (await wire.forwarded(data)).repeatable
    for offset in range(1, len(data)):
        assert (await wire.forwarded(data[:offset], data[offset:])).repeatable == whole, offset
    assert (await wire.forwarded(*(bytes([byte]) for byte in data))).repeatable == whole


async def test_where_segments_end_changes_no_trailer(wire: Wire) -> None:
    """Also when they end in trailers."""
    data = trailed(b"X-Checksum: abc", b"X-Other: \xe9")
    whole = (await wire.forwarded(data)).repeatable
    assert whole.endswith(b"0\r\nX-Checksum: abc\r\nX-Other: \xe9\r\n\r\n")
    for offset in range(len(data) - 60, len(data)):
        assert (await wire.forwarded(data[:offset], data[offset:])).repeatable == whole, offset


async def test_where_segments_end_changes_nothing_for_several_requests(wire: Wire) -> None:
    """The boundary between two requests too."""
    data = chunks(BODY) + b"\r\n" + request(line=b"GET /2 HTTP/1.1") + post(b"Content-Length: 2", body=b"ok")
    for offset in range(0, len(data), 3):
        wire.cell.forget()
        async with wire.speaking() as speaker:
            await speaker.send([data[:offset], data[offset:]])
            answers = await speaker.until_answered(3)
        assert [each.final.body for each in answers] == [b"POST /x", b"GET /2", b"POST /x"], offset
        assert [seen.body for seen in wire.cell.seen] == [b"hello", b"", b"ok"]


EXPECTING = b"Expect: 100-continue"


@pytest.mark.parametrize("framing", [b"Content-Length: 5", CHUNKED])
@pytest.mark.parametrize("expecting", [EXPECTING, b"expect: 100-Continue"])
async def test_the_router_itself_tells_a_client_to_go_on(wire: Wire, framing: bytes, expecting: bytes) -> None:
    """And the cell is not asked again: it gets no `Expect`."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([post(expecting, framing)])
        while not speaker.raw:
            await speaker._more()
        assert speaker.raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        await speaker.send([BODY if framing is CHUNKED else b"hello"])
        [answers] = await speaker.until_answered(1)
    assert [each.start[0] for each in answers.messages] == [100, 200]
    [seen] = wire.cell.seen
    assert (seen.body, seen.values(b"expect")) == (b"hello", [])


@pytest.mark.parametrize(
    "data",
    [
        request(EXPECTING, b"Content-Length: 5", line=b"POST /x HTTP/1.0", body=b"hello"),
        request(EXPECTING),
        post(EXPECTING, b"Content-Length: 0"),
    ],
)
async def test_who_does_not_wait_is_not_told_to_go_on(wire: Wire, data: bytes) -> None:
    """HTTP/1.0 knows no interim answers, and where nothing follows there is nothing to wait for."""
    answers = await wire.exchange(data)
    assert [each.start[0] for each in answers.messages] == [200]
    assert not wire.cell.seen[0].values(b"expect")


async def test_a_refused_client_is_not_told_to_go_on(wire: Wire) -> None:
    """It shall not send a body for nothing."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([post(EXPECTING, CHUNKED, b"Content-Length: 5")])
        answers = (await speaker.until_closed()).answers()
    assert [each.start[0] for each in answers.messages] == [400]


@pytest.mark.parametrize("expectation", [b"200-ok", b"100-continue, x", b"x=1", b"100-continue;q=1"])
async def test_what_nobody_can_do_is_refused(wire: Wire, expectation: bytes) -> None:
    """417 (RFC 9110 section 10.1.1)."""
    answers = await wire.exchange(request(b"Expect: " + expectation))
    assert answers.final.start[0] == 417
    await wire.settled()
    assert not wire.cell.seen


@pytest.mark.parametrize(
    "lines",
    [
        [b"Connection: Upgrade", b"Upgrade: h2c"],
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
        [b"Connection: Upgrade", b"Upgrade: TLS/1.0"],
        [b"Connection: Upgrade", b"Upgrade: x, y"],
    ],
)
async def test_no_upgrade_to_what_is_not_spoken(wire: Wire, lines: list[bytes]) -> None:
    """The request is answered as HTTP; what follows is either answered too, or the client knows that it is not."""
    wire.cell.forget()
    behind = request(line=b"GET /2 HTTP/1.1")
    async with wire.speaking() as speaker:
        await speaker.send([request(*lines, line=b"GET /1 HTTP/1.1") + behind])
        [first] = await speaker.until_answered(1)
        assert first.final.start[0] == 200
        if first.final.values(b"connection") == [b"close"]:
            assert (await speaker.until_closed()).raw == b""
        else:
            assert (await speaker.until_answered(1))[0].final.body == b"GET /2"
    for seen in wire.cell.seen:
        assert not seen.values(b"upgrade")
        assert not seen.values(b"connection")
        assert not seen.values(b"http2-settings")


async def test_a_body_is_never_taken_for_the_next_request(wire: Wire) -> None:
    """Not even when nobody read it: the router refused its head, and the connection ends."""
    wire.cell.forget()
    inner = request(line=b"GET /inner HTTP/1.1")
    for refused in (b"Host: nobody.api.localhost", b"Host: beta.api.localhost"):
        async with wire.speaking() as speaker:
            await speaker.send(
                [request(b"Content-Length: %d" % len(inner), line=b"POST /x HTTP/1.1", host=refused)]
            )
            await speaker.send([inner])
            [answers] = await speaker.until_answered(1)
            assert answers.final.start[0] == 404
            await speaker.until_quiet(wire.cell)
            assert not speaker.raw
    await wire.settled()
    assert not wire.cell.seen


async def test_an_answer_before_the_bodys_end_ends_the_connection(wire: Wire) -> None:
    """Nobody knows where the client is in its body; it is not guessed."""
    wire.cell.forget()
    wire.cell.answering = _early
    async with wire.speaking() as speaker:
        await speaker.send(
            [HOST.join([b"POST /x HTTP/1.1\r\n", b"\r\n"]) + AUTH + b"\r\n" + CHUNKED + b"\r\n\r\n"]
        )
        await speaker.send([b"zz\r\n"])
        said = await speaker.until_closed()
    assert said.answers(b"POST").final.start[0] == 400


def _early(_forwarded: Forwarded) -> Reply:
    return Reply([sized(b"early")], "keep")
