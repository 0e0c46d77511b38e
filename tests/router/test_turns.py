"""Whose turn it is at a cell: who takes its time takes nobody's place, and no tenant takes all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import pytest

from directory.memory_feed import MemoryFeed
from directory.resolver import CheckedResolver
from directory.values import CellEntry
from router.app import Router
from router.rules.concurrency import Bounds, Concurrency
from router.rules.responses import HEADS
from router.tenants import Tenant
from router.upstream.connection import Connection
from router.upstream.pool import Limits, Pool, Sign
from tests.router.upstreams import OK, FakeCell, Seen, ask, connected, get, running, serving, snapshot_of
from tests.waiting import eventually

TENANTS = ["acme", "beta", "gamma"]
LONG_POLL = get(extra="Prefer: wait=30\r\n")
EVENTS = get("/events")
EVENT = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\n\n\r\n"
UPLOAD_BYTES = 4000
UPLOAD = get(method="POST", extra=f"Content-Length: {UPLOAD_BYTES}\r\n")
LIMITS = Limits(connections=16, tenant_connections=1, wait_seconds=5.0)


def of(tenant: str, data: bytes) -> bytes:
    return data.replace(b"acme", tenant.encode())


class Slow:
    """A cell's script that lets tenants wait until they may `go_on`, but for those that it `spares`."""

    def __init__(self, *spares: bytes) -> None:
        self.spares = spares
        self.go_on = asyncio.Event()

    async def script(self, seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.values(b"cellway-tenant")[0] not in self.spares:
            await self.go_on.wait()
        writer.write(OK)


class Streaming:
    """A cell's script that answers at once, but for streams of events, which end when they may `go_on`."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def script(self, seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.target != b"/events":
            writer.write(OK)
            return
        writer.write(EVENT)
        await writer.drain()
        await self.go_on.wait()
        writer.write(b"0\r\n\r\n")


@pytest.fixture
async def resolver() -> AsyncIterator[CheckedResolver]:
    made = CheckedResolver()
    yield made
    await made.close()


@pytest.fixture
async def router(cell: FakeCell) -> AsyncIterator[Router]:
    """A router with three tenants in one cell, whose bodies above 1000 bytes are passed on as they come."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": cell.address}, dict.fromkeys(TENANTS, ("cell-1", 5))))
    async with running(feed, replay_bytes=1000) as made:
        await eventually(lambda: len(made.table))
        yield made


def at_a_time(pool: Pool, number: int) -> None:
    """Let the limit of requests at a time be so many."""
    pool.concurrency = Concurrency(monotonic(), Bounds(least=1, first=number))
    pool.adapt(monotonic())


def knows_its_cell(pool: Pool) -> None:
    """Let every usual answer count: of one that a slow machine reads late, what was known before is believed."""
    pool.concurrency.unloaded_seconds = 0.01


# --- a tenant's other cell ---


async def broken_off(connection: Connection, pool: Pool) -> None:
    """Whoever had borrowed it gives it back."""
    pool.give_back(connection, monotonic())


async def answered_whole(connection: Connection, _pool: Pool) -> None:
    """It gives itself back, and is kept without further ado."""
    HEADS.find(OK[: -len(b"ok")])  # an answer with an unknown head is looked at with more care
    answered = asyncio.get_running_loop().create_future()
    connection.begin(Sign(answered), b"GET", get())
    await answered
    assert connection.kept_at > 0
    assert not connection.closed


@pytest.mark.parametrize("over", [broken_off, answered_whole])
async def test_what_a_tenant_gives_back_where_it_lived_before_is_its_turn_where_it_lives_now(
    cell: FakeCell, resolver: CheckedResolver, over: Callable[[Connection, Pool], Awaitable[None]]
) -> None:
    """Its share is of all its connections, whichever cell they lead to and however a request is over."""
    async with serving(FakeCell()) as other:
        old = Pool(CellEntry("old", "open", cell.address), LIMITS, resolver)
        new = Pool(CellEntry("new", "open", other.address), LIMITS, resolver)
        acme = Tenant(b"acme")
        acme.pool = old
        before = await old.take(acme)
        acme.pool = new
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(new.take(acme))
            await eventually(lambda: new._queue)
            await over(before, old)
        new.give_back(waiting.result(), monotonic())
        assert acme.borrowed == acme.lasting == 0
        old.close()


async def test_who_takes_its_time_where_a_tenant_lived_before_is_its_turn_where_it_lives_now(
    cell: FakeCell, resolver: CheckedResolver
) -> None:
    """From then on it counts no more in what the tenant may send to its cell."""
    async with serving(FakeCell()) as other:
        limits = Limits(connections=16, tenant_connections=2, wait_seconds=5.0)
        old = Pool(CellEntry("old", "open", cell.address), limits, resolver)
        new = Pool(CellEntry("new", "open", other.address), limits, resolver)
        at_a_time(new, 1)
        acme = Tenant(b"acme")
        acme.pool = old
        before = await old.take(acme)
        acme.pool = new
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(new.take(acme))
            await eventually(lambda: new._queue)
            old.excuse(before)
        assert (acme.borrowed, acme.lasting) == (2, 1)
        old.give_back(before, monotonic())
        new.give_back(waiting.result(), monotonic())
        assert acme.borrowed == acme.lasting == 0


# --- who takes its time ---


async def test_long_polls_take_nobodys_place(router: Router, cell: FakeCell) -> None:
    """More of them than a cell is given at a time are sent, and what is usual is sent at once besides."""
    slow = Slow(b"acme")
    cell.script = slow.script
    pool = router.cells.pool("cell-1")
    at_a_time(pool, 4)
    assert (await ask(router, get())).status == 200  # so that a connection is kept, over which the first is sent
    polls = [asyncio.ensure_future(ask(router, of(each, LONG_POLL))) for each in ["beta", "gamma"] * 3]
    await eventually(lambda: len(cell.seen) == 7)
    assert (pool.awaiting, pool.patient) == (0, 6)
    assert [(await ask(router, get())).status for _ in range(2)] == [200, 200]
    slow.go_on.set()
    assert [(await each).status for each in polls] == [200] * 6
    assert (pool.awaiting, pool.patient) == (0, 0)


async def test_uploads_take_nobodys_place_while_they_are_sent(router: Router, cell: FakeCell) -> None:
    """How long that takes is their clients' doing."""
    pool = router.cells.pool("cell-1")
    at_a_time(pool, 4)
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
        uploads = [await stack.enter_async_context(connected(router)) for _ in range(6)]
        for number, client in enumerate(uploads):
            client.send(of(["beta", "gamma"][number % 2], UPLOAD) + bytes(UPLOAD_BYTES // 2))
        await eventually(lambda: pool.patient == 6)
        assert pool.awaiting == 0
        assert [(await ask(router, get())).status for _ in range(2)] == [200, 200]
        for client in uploads:
            client.send(bytes(UPLOAD_BYTES // 2))
        assert [(await client.answer(b"POST")).status for client in uploads] == [200] * 6
    assert (pool.awaiting, pool.patient) == (0, 0)


async def test_whoever_waited_for_the_place_of_one_that_takes_its_time_has_it_at_once(
    cell: FakeCell, resolver: CheckedResolver
) -> None:
    """That it does shows once it was sent, and until then its place is taken."""
    pool = Pool(CellEntry("cell-1", "open", cell.address), LIMITS, resolver)
    at_a_time(pool, 1)
    patient = await pool.take(Tenant(b"acme"))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = group.create_task(pool.take(Tenant(b"beta")))
        await eventually(lambda: pool._queue)
        pool.excuse(patient)
    assert (pool.awaiting, pool.patient) == (1, 1)
    for connection in (patient, waiting.result()):
        pool.give_back(connection, monotonic())
    assert (pool.awaiting, pool.patient) == (0, 0)


async def test_a_long_poll_says_nothing_about_how_fast_a_cell_is(router: Router, cell: FakeCell) -> None:
    """It counts as a request, but neither in the latency that is shown nor in the one that the limit follows."""
    pool = router.cells.pool("cell-1")
    knows_its_cell(pool)
    requests, timed = pool.counts.requests, sum(pool.counts.buckets)
    assert [(await ask(router, LONG_POLL)).status for _ in range(3)] == [200] * 3
    assert (pool.counts.requests - requests, sum(pool.counts.buckets) - timed) == (3, 0)
    assert not pool.concurrency.adapt(monotonic() + 60)  # there is nothing to learn from
    assert (await ask(router, get())).status == 200
    assert sum(pool.counts.buckets) - timed == 1
    assert pool.concurrency.adapt(monotonic() + 60)


async def test_a_large_upload_says_nothing_about_how_fast_a_cell_is(router: Router, cell: FakeCell) -> None:
    """The limit does not follow it; a small one was there before it was sent, so it counts."""
    pool = router.cells.pool("cell-1")
    knows_its_cell(pool)
    assert (await ask(router, UPLOAD + bytes(UPLOAD_BYTES), b"POST")).status == 200
    assert not pool.concurrency.adapt(monotonic() + 60)
    assert (await ask(router, get(method="POST", extra="Content-Length: 5\r\n") + b"small", b"POST")).status == 200
    assert pool.concurrency.adapt(monotonic() + 60)


# --- one tenant's part of the limit ---


async def test_a_tenant_leaves_a_quarter_of_what_a_cell_is_given_at_a_time(router: Router, cell: FakeCell) -> None:
    """However many requests it has, over connections that are opened and over those that were kept."""
    slow = Slow(b"beta")
    cell.script = slow.script
    pool = router.cells.pool("cell-1")
    at_a_time(pool, 8)
    for kept in (0, 7):
        cell.seen.clear()
        slow.go_on.clear()
        assert pool.open == kept
        asking = [asyncio.ensure_future(ask(router, get())) for _ in range(12)]
        await eventually(lambda: pool.waiting == 12 and len(cell.seen) >= 6)
        assert pool.awaiting == len(cell.seen) == 6
        assert (await ask(router, of("beta", get()))).status == 200
        slow.go_on.set()
        assert [(await each).status for each in asking] == [200] * 12


async def test_a_tenant_can_send_to_a_cell_that_is_given_one_request_at_a_time(router: Router) -> None:
    """A quarter less than one is none."""
    at_a_time(router.cells.pool("cell-1"), 1)
    assert [(await ask(router, get())).status for _ in range(2)] == [200, 200]


async def test_streams_take_nothing_of_what_a_tenant_may_send(router: Router, cell: FakeCell) -> None:
    """However many it has, over connections that are opened and over those that were kept."""
    streaming = Streaming()
    cell.script = streaming.script
    pool = router.cells.pool("cell-1")
    at_a_time(pool, 8)
    for kept in (0, 9):
        assert pool.open == kept
        streaming.go_on.clear()
        streams = []
        for number in range(1, 9):
            streams.append(asyncio.ensure_future(ask(router, EVENTS)))
            await eventually(lambda number=number: len(router.lane.streams) == number)
        assert [(await ask(router, get())).status for _ in range(2)] == [200, 200]
        streaming.go_on.set()
        assert [(await each).complete for each in streams] == [True] * 8
        [acme] = router.lane.tenants
        await eventually(lambda: pool.open == 9)
        assert acme.borrowed == acme.lasting == 0


async def test_what_takes_its_time_leaves_a_tenant_its_part(router: Router, cell: FakeCell) -> None:
    """Long polls and uploads of its own that are on their way, too."""
    slow = Slow()
    cell.script = slow.script
    pool = router.cells.pool("cell-1")
    at_a_time(pool, 4)
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
        polls = [asyncio.ensure_future(ask(router, LONG_POLL)) for _ in range(6)]
        uploads = [await stack.enter_async_context(connected(router)) for _ in range(6)]
        for client in uploads:
            client.send(UPLOAD + bytes(UPLOAD_BYTES // 2))
        await eventually(lambda: pool.patient == 12)
        asking = asyncio.ensure_future(ask(router, get()))
        await eventually(lambda: pool.awaiting == 1)
        slow.go_on.set()
        assert (await asking).status == 200
        assert [(await each).status for each in polls] == [200] * 6
        for client in uploads:
            client.send(bytes(UPLOAD_BYTES // 2))
        assert [(await client.answer(b"POST")).status for client in uploads] == [200] * 6
    [acme] = router.lane.tenants
    assert acme.borrowed == acme.lasting == 0


async def test_a_tenant_has_as_many_connections_as_are_documented(cell: FakeCell) -> None:
    """A quarter of them all, whatever they are for; the next request waits, and another tenant's passes it."""
    streaming = Streaming()
    cell.script = streaming.script
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": cell.address}, dict.fromkeys(TENANTS, ("cell-1", 5))))
    async with running(feed, cell_connections=40, cell_wait_seconds=0.2) as router:
        await eventually(lambda: len(router.table))
        at_a_time(router.cells.pool("cell-1"), 4)
        streams = []
        for number in range(1, 11):
            streams.append(asyncio.ensure_future(ask(router, EVENTS)))
            await eventually(lambda number=number: len(router.lane.streams) == number)
        assert (await ask(router, get())).status == 503
        assert (await ask(router, of("beta", get()))).status == 200
        streaming.go_on.set()
        assert [(await each).complete for each in streams] == [True] * 10
        assert (await ask(router, get())).status == 200
