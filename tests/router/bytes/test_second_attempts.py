"""A request that is sent a second time is the same request, byte for byte."""

from collections.abc import AsyncIterator

import pytest

from tests.router.bytes.messages import AUTH, BODY, CHUNKED, post, request, response
from tests.router.bytes.wire import Forwarded, Reply, Wire, echo, wired

NOT_OURS = Reply([response(b"Content-Length: 0", line=b"HTTP/1.1 421 Misdirected Request")])
REQUESTS = {
    "an ordinary one": request(line=b"GET /a/b%2F?c=d HTTP/1.1"),
    "with headers": request(b"X-Caf: \xe9", b"Cookie: a", line=b"DELETE /a HTTP/1.1"),
    "with a prefix": request(line=b"GET /t/acme/a?b HTTP/1.1"),
    "absolute": request(line=b"GET http://acme.api.localhost/a HTTP/1.1"),
    "of HTTP/1.0": request(line=b"GET /a HTTP/1.0"),
    "by its key alone": b"GET /a HTTP/1.1\r\nHost: example.com\r\n" + AUTH + b"\r\n\r\n",
    "of a trace": request(b"traceparent: 00-%s-%s-01" % (b"a" * 32, b"b" * 16), line=b"GET /a HTTP/1.1"),
}
BODIES = {
    "a length": post(b"Content-Length: 5", body=b"hello"),
    "chunks": post(CHUNKED, body=BODY),
}


@pytest.fixture(scope="module")
async def hasty() -> AsyncIterator[Wire]:
    """A router that does not wait long for a newer assignment."""
    async with wired(refresh_seconds=0.01) as made:
        yield made


async def sent_twice(wire: Wire, data: bytes, first: Reply) -> list[Forwarded]:
    """What the cell sees when it answers `first` to the first attempt; second ones are a share of all requests."""
    for _ in range(30):
        await wire.exchange(request())
    wire.cell.forget()
    replies = [first]
    wire.cell.answering = lambda forwarded: replies.pop() if replies else echo(forwarded)
    answers = await wire.exchange(data, forget=False)
    assert answers.final.start[0] == 200
    return wire.cell.seen


@pytest.mark.parametrize("data", [*REQUESTS.values(), *BODIES.values()], ids=[*REQUESTS, *BODIES])
async def test_what_a_cell_did_not_own_is_sent_again_as_it_was(hasty: Wire, data: bytes) -> None:
    """Also its target and its request id."""
    first, second = await sent_twice(hasty, data, NOT_OURS)
    assert first.wire == second.wire


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
async def test_what_met_a_closed_connection_is_sent_again_as_it_was(hasty: Wire, data: bytes, then: str) -> None:
    """On a connection of its own."""
    first, second = await sent_twice(hasty, data, Reply([], then))
    assert first.wire == second.wire
    assert first.connection != second.connection
