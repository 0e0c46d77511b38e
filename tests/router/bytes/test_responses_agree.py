"""Whatever a cell answers: what a client gets is read alike by everybody, or is visibly broken off."""

from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from tests.router.bytes.messages import request, sized
from tests.router.bytes.mutations import RESPONSE_LINES, RESPONSES, cut, mutated
from tests.router.bytes.views import Answers, Unreadable, answers_by_aiohttp, answers_by_h11
from tests.router.bytes.wire import Reply, Said, Wire

EXAMPLES = 600
VERSIONS = st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"])
ODD_HINTS = b"HTTP/1.1 103 Early Hints\r\nContent-Length: +5\r\n\r\n" + sized(b"hello")
METHODS = st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST"])


async def answered(wire: Wire, reply: Reply, method: bytes, version: bytes) -> Said:
    """All that a client gets, up to an answer's end or the connection's."""
    wire.cell.forget()
    wire.cell.answering = lambda _forwarded: reply
    async with wire.speaking() as speaker:
        await speaker.send([request(line=b"%s /x HTTP/%s" % (method, version))])
        while speaker.state == "open" and not speaker.said.answers(method).complete:
            await speaker._more()
        return await speaker.until_quiet(wire.cell)


def agreed(said: Said, method: bytes) -> Answers:
    """What h11 sees; aiohttp sees the same, in which nothing follows the end."""
    ours = said.answers(method)
    theirs = answers_by_aiohttp(said.raw, method=method, ended=said.state == "closed")
    assert ours.complete == theirs.complete or not ours.complete
    if ours.complete:
        assert [each.read for each in ours.messages] == [each.read for each in theirs.messages]
        assert (ours.rest, theirs.rest) == (b"", b"")
    return ours


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@example(ODD_HINTS, [], "close", b"GET", b"1.1")
@given(
    mutated(RESPONSES, RESPONSE_LINES, most=2),
    st.lists(st.integers(0, 2**12), max_size=3),
    st.sampled_from(["close", "close", "reset"]),
    METHODS,
    VERSIONS,
)
async def test_what_a_client_gets_is_read_alike_by_everybody(
    wire: Wire, data: bytes, offsets: list[int], then: str, method: bytes, version: bytes
) -> None:
    """And a whole answer of the cell's is whole to h11 in the cell's own bytes, with the same body."""
    note(repr((cut(data, offsets), then, method, version)))
    said = await answered(wire, Reply(cut(data, offsets), then), method, version)
    got = agreed(said, method)
    assert got.complete or said.state != "open"
    if got.complete and not _of_the_router(got):
        meant = read(data, method, ended=then == "close")
        assert meant.complete
        assert got.final.start == meant.final.start
        assert got.final.body == meant.final.body
        if version == b"1.0":
            assert len(got.messages) == 1
    # Whatever it was, the next request gets its own answer.
    next_one = await wire.exchange(request(line=b"GET /next HTTP/1.1"))
    assert next_one.final.body == b"GET /next"


def read(data: bytes, method: bytes, *, ended: bool) -> Answers:
    """The cell's answer as h11 reads it, or aiohttp where h11 refuses something that changes no meaning."""
    try:
        return answers_by_h11(data, method=method, ended=ended)
    except Unreadable:
        return answers_by_aiohttp(data, method=method, ended=ended)


def _of_the_router(got: Answers) -> bool:
    return got.final.start[0] == 502 and got.final.values(b"content-type") == [b"application/problem+json"]


async def test_an_unreadable_answer_is_told_apart(wire: Wire) -> None:
    """The two readers of these tests do refuse something, else they would prove nothing."""
    assert answers_by_h11(sized(b"ok")).complete
    assert not answers_by_h11(sized(b"ok")[:-1], ended=True).complete
    for reader in (answers_by_h11, answers_by_aiohttp):
        try:
            reader(b"HTTP/1.1 2OO OK\r\n\r\n")
        except Unreadable:
            continue
        raise AssertionError(reader)
