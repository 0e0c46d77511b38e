"""More than can be done: what is shed is shed at once, and what is done stays as much as before."""

import asyncio
import time
from collections import Counter, deque
from typing import cast

import pytest

from directory.memory_feed import MemoryFeed
from router.app import Router
from router.rules.concurrency import Bounds, Concurrency
from router.rules.overload import Lag
from tests.router.faults.load import LeanCell, lean
from tests.router.faults.rest import resting
from tests.router.fuzz.hunt import in_memory
from tests.router.fuzz.network import SimulatedLoop
from tests.router.fuzz.shell import clock_of
from tests.router.upstreams import OK, FakeCell, Seen, ask, connected, get, snapshot_of
from tests.waiting import eventually

TENANTS = [f"tenant-{number}" for number in range(8)]
LATE_SECONDS = 0.5
"""How late a loop is made; more than what counts as late."""
TICK_SECONDS = 0.004
"""How often whoever offers a rate looks how many requests are due."""
PEACEFUL_RATE = 100.0
"""What tenants of another cell ask a second."""


def of(tenant: str) -> bytes:
    return get().replace(b"acme", tenant.encode())


# --- the router itself is behind ---


async def test_a_router_that_is_behind_refuses_at_once_and_recovers(feed: MemoryFeed, cell: FakeCell) -> None:
    """While its loop is late: 503 with the time to come again, and nothing reaches a cell."""
    async with resting(feed) as router, connected(router) as client:
        client.send(get())
        assert (await client.answer()).status == 200
        router.lane._lag = Lag(calm_seconds=0.05, most_seconds=0.2)

        async def behind() -> bool:
            time.sleep(LATE_SECONDS)  # noqa: ASYNC251 this is what makes it late
            return router.lane._lag.share == 1.0

        await eventually(behind)
        await eventually(lambda: router.lane.behind)
        seen = len(cell.seen)
        for kept in (True, False):
            client.send(get(extra="" if kept else "Connection: close\r\n"))
            answer = await client.answer()
            assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
            assert b'"retryable":true' in answer.body
        assert await client.closed()
        assert len(cell.seen) == seen
        await eventually(lambda: not router.lane.behind, seconds=20.0)
        async with connected(router) as again:
            again.send(get(method="POST", extra="Content-Length: 2\r\n") + b"ok")
            assert (await again.answer(b"POST")).status == 200


# --- a cell has enough to do ---


class Arrivals:
    """Requests that come at a set rate whether or not the ones before were answered, over as many connections."""

    def __init__(self, router: Router, tenants: list[str]) -> None:
        self._port = router.site.port
        self._requests = deque(of(tenant) for tenant in tenants)
        self.free: deque[_Caller] = deque()
        self.all: list[_Caller] = []
        self.statuses: Counter[bytes] = Counter()
        self.good = 0

    async def offer(self, per_second: float, seconds: float) -> float:
        """Offer so many; returns how many a second were served well meanwhile."""
        loop = asyncio.get_running_loop()
        began, sent, before = loop.time(), 0, self.good
        while (passed := loop.time() - began) < seconds:
            for _ in range(int(passed * per_second) - sent):
                sent += 1
                caller = self.free.popleft() if self.free else await self._connect()
                self._requests.rotate(1)
                caller.ask(self._requests[0])
            await asyncio.sleep(TICK_SECONDS)
        return (self.good - before) / passed

    async def _connect(self) -> "_Caller":
        _, caller = await asyncio.get_running_loop().create_connection(
            lambda: _Caller(self), "127.0.0.1", self._port
        )
        self.all.append(caller)
        return caller

    def close(self) -> None:
        for caller in self.all:
            if caller.wire is not None:
                caller.wire.abort()


class _Caller(asyncio.Protocol):
    """One of their connections."""

    PATIENCE_SECONDS = 1.0
    """Whoever is answered later has gone."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._began = 0.0
        self.wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.wire = None

    def ask(self, request: bytes) -> None:
        self._began = asyncio.get_running_loop().time()
        if self.wire is not None:
            self.wire.write(request)

    def data_received(self, data: bytes) -> None:
        status = data[9:12]
        self._arrivals.statuses[status] += 1
        if status == b"200" and asyncio.get_running_loop().time() - self._began < self.PATIENCE_SECONDS:
            self._arrivals.good += 1
        if self.wire is not None and b"Connection: close" not in data:
            self._arrivals.free.append(self)


async def in_two_cells(feed: MemoryFeed, cell: LeanCell, busy: LeanCell) -> None:
    cells = {"cell-1": cell.address, "busy": busy.address}
    await feed.fill(snapshot_of(cells, {"acme": ("cell-1", 5), **dict.fromkeys(TENANTS, ("busy", 5))}))


def test_ten_times_the_load_costs_no_more_than_a_tenth_of_the_goodput() -> None:
    """A cell does eight at a time in 40 ms. It gets no more than it can do; others notice nothing.

    In simulated time and on a network of memory, so that what else the machine does is not measured.
    """
    in_memory(overloaded, SimulatedLoop)


async def overloaded() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    limits = {"cell_connections": 64, "cell_waiting": 64, "cell_wait_seconds": 0.25, "least_concurrency": 4}
    feed = MemoryFeed()
    with clock_of(loop):
        async with lean() as calm, lean(slots=8, seconds=0.04) as busy:
            await in_two_cells(feed, calm, busy)
            async with resting(feed, **limits) as router:
                arrivals, others = Arrivals(router, TENANTS), Arrivals(router, ["acme"])
                await arrivals.offer(180.0, 1.0)
                peak = await arrivals.offer(220.0, 2.0)
                assert peak == pytest.approx(200.0, rel=0.05)
                asking = asyncio.ensure_future(others.offer(PEACEFUL_RATE, 5.0))
                await arrivals.offer(10 * peak, 3.0)
                share = await arrivals.offer(10 * peak, 2.0) / peak
                peaceful = await asking
                limit = router.cells.pool("busy").concurrency.limit
                print(f"share {share:.3f}, {dict(arrivals.statuses)}, at most {limit} at a time")
                assert share >= 0.9
                assert set(arrivals.statuses) == {b"200", b"503"}
                assert limit <= 32
                assert set(others.statuses) == {b"200"}
                assert peaceful == pytest.approx(PEACEFUL_RATE, rel=0.05)
                for crowd in (arrivals, others):
                    crowd.close()


async def test_who_waits_for_room_goes_on_when_the_limit_grows(feed: MemoryFeed, cell: FakeCell) -> None:
    """Not only when an answer comes: all of them may be slow. One tenant gets three quarters of the room."""
    go_on = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    cell.script = script
    async with resting(feed, cell_wait_seconds=20.0) as router:
        pool = router.cells.pool("cell-1")
        pool.concurrency = Concurrency(time.monotonic(), Bounds(first=4))
        pool.adapt(time.monotonic())
        asking = [asyncio.ensure_future(ask(router, get())) for _ in range(20)]
        await eventually(lambda: len(pool._queue) == 17 and len(cell.seen) >= 3)
        assert len(cell.seen) == 3
        pool.concurrency = Concurrency(time.monotonic(), Bounds(first=12))
        await eventually(lambda: len(cell.seen) == 9)
        assert len(pool._queue) == 11
        go_on.set()
        assert {(await each).status for each in asking} == {200}
