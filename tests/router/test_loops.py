"""Requests that go round in circles, and answers in versions that are not spoken here."""

import json

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, ask, connected, get, move, running, snapshot_of
from tests.waiting import eventually


async def test_a_request_that_comes_round_is_refused(router: Router, cell: FakeCell) -> None:
    """A router knows its own name in Via; another router's, however alike, is no loop."""
    assert (await ask(router, get())).status == 200
    [via] = cell.seen[0].values(b"via")
    found = await ask(router, get(extra=f"Via: 1.1 proxy, {via.decode()} (a comment), 1.1 last\r\n"))
    assert (found.status, found.values(b"content-type")) == (508, [b"application/problem+json"])
    assert json.loads(found.body)["retryable"] is False
    other = via.decode()[:-4] + "zzzz"
    assert (await ask(router, get(extra=f"Via: {other}\r\nVia: 1.1 cellway\r\n"))).status == 200
    assert len(cell.seen) == 2


async def test_a_cell_whose_address_is_the_routers_own_makes_no_loop(feed: MemoryFeed) -> None:
    """The request comes round once, not until something breaks."""
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        own = f"http://127.0.0.1:{router.site.port}"
        await feed.fill(snapshot_of({"cell-1": own}, {"acme": ("cell-1", 6)}, seq=11))
        await move(feed, "acme", "cell-1", 7)
        async with connected(router) as client:

            async def refused() -> bool:
                client.send(get())
                return (await client.answer()).status == 508

            assert await eventually(refused)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_an_answer_in_a_version_that_is_not_spoken_is_not_passed_on(
    router: Router, cell: FakeCell, answer: bytes
) -> None:
    """Nobody could say where it ends."""
    cell.answers = [answer]
    assert (await ask(router, get())).status == 502
