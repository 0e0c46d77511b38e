"""What a tenant may ask, and what becomes of a cell that fails: others never pay for it."""

import asyncio
import json

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import Change, Rate, TenantEntry
from router import metrics
from router.app import Router
from router.rules.breaker import Breaker, Thresholds
from tests.router.faults.cells import reset
from tests.router.faults.rest import resting
from tests.router.upstreams import IDENTITY, OK, Answer, FakeCell, Seen, ask, connected, get, serving, snapshot_of
from tests.waiting import eventually

TENANTS = ["acme", "beta", "gamma", "delta"]
NOT_OURS = b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"


def of(tenant: str, data: bytes | None = None) -> bytes:
    return (data or get()).replace(b"acme", tenant.encode())


async def allow(feed: MemoryFeed, router: Router, rate: Rate | None) -> None:
    """Publish another limit of acme's, and wait until the router has heard of it."""
    seq = (await feed.published(IDENTITY) or 0) + 1
    await feed.publish(IDENTITY, [Change(seq, TenantEntry("acme", "cell-1", 5, rate))])
    await eventually(lambda: router.table.seq == seq)


async def fill(feed: MemoryFeed, cell: FakeCell) -> None:
    await feed.fill(snapshot_of({"cell-1": cell.address}, dict.fromkeys(TENANTS, ("cell-1", 5))))


# --- limits ---


async def test_a_tenant_over_its_limit_is_told_when_to_come_again(feed: MemoryFeed, cell: FakeCell) -> None:
    """429, and what is left with every answer before; its cell hears nothing of it, nor do other tenants."""
    await fill(feed, cell)
    async with resting(feed) as router, connected(router) as client:
        await allow(feed, router, Rate(per_second=0.01, burst=5))
        left = []
        for _ in range(5):
            client.send(get())
            answer = await client.answer()
            assert (answer.status, answer.values(b"ratelimit-policy")) == (200, [b'"requests";q=5;w=500'])
            left.append(answer.values(b"ratelimit")[0].split(b";")[1])
        assert left == [b"r=4", b"r=3", b"r=2", b"r=1", b"r=0"]
        client.send(get())
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)["retryable"]) == (429, True)
        assert answer.values(b"ratelimit-policy") == [b'"requests";q=5;w=500']
        [wait] = answer.values(b"retry-after")
        assert 90 < int(wait) <= 100
        assert answer.values(b"ratelimit") == [b'"requests";r=0;t=%b' % wait]
        client.send(of("beta"))
        answer = await client.answer()
        assert (answer.status, answer.values(b"ratelimit")) == (200, [])
    assert len(cell.seen) == 6


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_limit_changes_by_a_change_of_the_directory(feed: MemoryFeed, cell: FakeCell, method: str) -> None:
    """From the next request on, on connections that are open; what was used stays used."""
    request = get(method=method, extra="" if method == "GET" else "Content-Length: 0\r\n")
    async with resting(feed) as router, connected(router) as client:

        async def status() -> int:
            client.send(request)
            return (await client.answer(method.encode())).status

        await allow(feed, router, Rate(per_second=0.01, burst=2))
        assert [await status() for _ in range(3)] == [200, 200, 429]
        await allow(feed, router, Rate(per_second=0.01, burst=4))
        assert [await status() for _ in range(3)] == [200, 200, 429]
        await allow(feed, router, Rate(per_second=10_000.0, burst=1000))
        assert [await status() for _ in range(20)] == [200] * 20
        await allow(feed, router, None)
        client.send(request)
        answer = await client.answer(method.encode())
        assert (answer.status, answer.values(b"ratelimit-policy")) == (200, [])


async def test_a_refused_body_is_not_read_for_the_next_request(feed: MemoryFeed, cell: FakeCell) -> None:
    """A small one is read and the connection goes on; a large one ends it."""
    async with resting(feed, replay_bytes=1000) as router, connected(router) as client:
        await allow(feed, router, Rate(per_second=0.001, burst=1))
        client.send(get())
        assert (await client.answer()).status == 200
        inner = get("/inner")
        client.send(get(method="POST", extra=f"Content-Length: {len(inner)}\r\n") + inner)
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (429, [])
        client.send(get(method="POST", extra="Content-Length: 100000\r\n") + inner)
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (429, [b"close"])
        assert await client.closed()
    assert len(cell.seen) == 1


# --- the breaker ---


class Ailing:
    """A cell that ends connections without an answer while it is `ill`, and may keep who asks waiting."""

    def __init__(self) -> None:
        self.ill = True
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def script(self, _seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.go_on.wait()
        if self.ill:
            writer.close()
        else:
            writer.write(OK)


def breaker(router: Router, **thresholds: float) -> Breaker:
    """A breaker of the cell's with other thresholds."""
    made = router.cells.pool("cell-1").breaker = Breaker(Thresholds(**thresholds))  # type: ignore[arg-type]
    return made


async def fails(router: Router, tenants: list[str], number: int) -> list[Answer]:
    """So many requests of these tenants, one after the other."""
    return [await ask(router, of(tenants[each % len(tenants)])) for each in range(number)]


async def test_one_tenants_failures_never_close_a_cell_to_others(feed: MemoryFeed, cell: FakeCell) -> None:
    """Nor those of two, however many there are."""
    ailing = Ailing()
    cell.script = ailing.script
    await fill(feed, cell)
    async with resting(feed) as router:
        assert {each.status for each in await fails(router, ["acme", "beta"], 40)} == {502}
        ailing.ill = False
        assert (await ask(router, of("gamma"))).status == 200
        assert router.cells.pool("cell-1").breaker.closed


async def test_a_cell_that_fails_for_several_tenants_is_left_alone_and_tried_again(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Open: 503 at once, with the time to come again. Then one request tries it, and the others wait for that."""
    ailing = Ailing()
    cell.script = ailing.script
    await fill(feed, cell)
    async with resting(feed) as router:
        opened = breaker(router, first_open_seconds=2.5)
        assert {each.status for each in await fails(router, TENANTS, 10)} == {502}
        assert opened.state.name == "OPEN"
        asked = len(cell.seen)
        for answer in await fails(router, TENANTS, 5):
            assert (answer.status, json.loads(answer.body)["retryable"]) == (503, True)
            assert json.loads(answer.body)["metadata"] == {}
            assert answer.values(b"retry-after")[0] in (b"2", b"3")
        assert len(cell.seen) == asked
        opened._until = 0.0  # its time is over
        ailing.go_on.clear()
        trying = asyncio.ensure_future(ask(router, of("delta")))
        await eventually(lambda: len(cell.seen) == asked + 1)
        assert {each.status for each in await fails(router, TENANTS, 5)} == {503}
        assert len(cell.seen) == asked + 1
        ailing.go_on.set()
        assert (await trying).status == 502
        assert (opened.state.name, opened.open_seconds) == ("OPEN", 5.0)
        opened._until = 0.0
        ailing.ill = False
        assert {each.status for each in await fails(router, TENANTS, 5)} == {200}
        assert opened.state.name == "CLOSED"


async def test_a_refusal_by_a_cell_shows_that_it_answers(feed: MemoryFeed, cell: FakeCell) -> None:
    """A tenant that has moved away may be the one whose request tries the cell: the others need not wait."""
    ailing = Ailing()
    cell.script = ailing.script
    await fill(feed, cell)
    async with resting(feed, refresh_seconds=0.05) as router:
        opened = breaker(router, first_open_seconds=30.0)
        await fails(router, TENANTS, 10)
        assert opened.state.name == "OPEN"
        opened._until = 0.0
        cell.script, cell.answers = None, [NOT_OURS, NOT_OURS]
        assert (await ask(router, of("delta"))).status == 503
        assert opened.state.name == "CLOSED"
        assert (await ask(router, of("acme"))).status == 200


async def test_the_tenants_of_another_cell_do_not_notice_an_open_breaker(feed: MemoryFeed, cell: FakeCell) -> None:
    """A breaker is one cell's."""
    cell.script = Ailing().script
    async with serving(FakeCell()) as other:
        cells = {"cell-1": cell.address, "cell-2": other.address}
        await feed.fill(snapshot_of(cells, {**dict.fromkeys(TENANTS, ("cell-1", 5)), "omega": ("cell-2", 5)}))
        async with resting(feed) as router:
            await fails(router, TENANTS, 12)
            assert not router.cells.pool("cell-1").breaker.closed
            assert {each.status for each in await fails(router, ["omega"], 10)} == {200}


# --- second attempts ---


async def test_a_storm_of_stale_connections_does_not_double_the_load(feed: MemoryFeed, cell: FakeCell) -> None:
    """Second attempts are a small share of what was asked lately; the others are told to come again."""
    crowd, together, storm = 80, asyncio.Event(), asyncio.Event()
    kept: set[asyncio.StreamWriter] = set()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        if storm.is_set() and writer in kept:
            reset(writer)
            return
        kept.add(writer)
        writer.write(OK)

    cell.script = script
    refused = metrics.NO_BUDGET.labels("cell-1")._value
    async with resting(feed) as router:
        first = [asyncio.ensure_future(ask(router, get())) for _ in range(crowd)]
        await eventually(lambda: len(cell.seen) == crowd)
        together.set()
        assert {(await each).status for each in first} == {200}
        assert router.cells.pool("cell-1").open == crowd
        together.clear()
        before, asked = refused.get(), len(cell.seen)
        storm.set()
        second = [asyncio.ensure_future(ask(router, get())) for _ in range(crowd)]
        await eventually(lambda: len(cell.seen) == asked + crowd)
        together.set()
        statuses = [(await each).status for each in second]
        again = len(cell.seen) - asked - crowd
        assert again <= 10 + 0.1 * 2 * crowd
        assert statuses.count(200) == again > 0
        assert statuses.count(502) == crowd - again == refused.get() - before
