"""One tenant floods both lanes, as fast as it is let; another asks for something now and then.

    python -m loadtests.jobs.flood [--jobs 200] [--rate 10] [--at-once 16]

Told is what the other one waits: from the call that asks for its job until its row is committed; the same without
a flood stands beside it. Writes results/flood.json.
"""

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from secrets import token_hex

import uvloop

from cell.access import enter_at
from cell.database import transaction
from cell.errors import Overfull, Unavailable
from cell.jobs.queueing import enqueue
from cell.rules.lanes import LANES, MOST_WAITING
from cell.work.hints import Hint
from loadtests.cells import make_cell
from loadtests.jobs.ours import EPOCH, KINDS, Cell, opened, tenant
from loadtests.jobs.task import Task
from loadtests.router.pinned import PROXY_CORE, alone, require_two_cores
from loadtests.router.report import machine
from runtime import logs
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from runtime.tasks import Tasks

RESULT = Path(__file__).parents[1] / "results" / "flood.json"
QUIET, FLOOD = 0, 1
AT_ONCE = 100
HEAD_START_SECONDS = 2.0
DEADLINE_SECONDS = 60.0
FIRST_OF_FLOOD = 10**9
"""Numbers of the flood's jobs lie beyond everybody else's."""


class Waits:
    """How long each of the quiet tenant's jobs took, and how many of the flood's were done meanwhile."""

    def __init__(self) -> None:
        self._asked: dict[int, float] = {}
        self.seconds: list[float] = []
        self.flooded = 0
        self._done = asyncio.Event()

    def ask(self, number: int) -> None:
        """From now on."""
        self._asked[number] = time.perf_counter()

    def tell(self, number: int) -> None:
        """It is done."""
        if number >= FIRST_OF_FLOOD:
            self.flooded += 1
        else:
            self.seconds.append(time.perf_counter() - self._asked[number])
            self._done.set()

    async def until(self, jobs: int) -> None:
        """So many are done. TimeoutError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.seconds) < jobs:
                self._done.clear()
                await self._done.wait()

    def milliseconds(self, share: float) -> float:
        """A quantile."""
        ordered = sorted(self.seconds)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 1)


@asynccontextmanager
async def flooded(cell: Cell) -> AsyncIterator[None]:
    """All that a tenant may have waiting is there, all the time."""
    numbers = count(FIRST_OF_FLOOD)

    async def flood() -> None:
        for lane in LANES:
            with suppress(Overfull, Unavailable):
                async with transaction(cell.pool) as connection:
                    await enter_at(connection, tenant(FLOOD), EPOCH)
                    for _ in range(AT_ONCE):
                        await enqueue(connection, KINDS[lane], {"number": next(numbers)})
                cell.hinter.hint(Hint(tenant(FLOOD), EPOCH, lane))
        await asyncio.sleep(0.01)

    tasks = Tasks()
    tasks.keep("flood", flood)
    await asyncio.sleep(HEAD_START_SECONDS)
    try:
        yield
    finally:
        await tasks.close()


async def measure(cell: Cell, first: int, jobs: int, rate: float, *, with_flood: bool) -> dict[str, float]:
    """The quiet tenant's latencies."""
    waits = Waits()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(cell.working(waits.tell))
        if with_flood:
            await stack.enter_async_context(flooded(cell))
        began = time.perf_counter()
        for index in range(jobs):
            await asyncio.sleep(max(0.0, began + index / rate - time.perf_counter()))
            waits.ask(first + index)
            await cell.defer_of(tenant(QUIET), first + index)
        await waits.until(jobs)
        seconds = time.perf_counter() - began
    quantiles = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    told = {name: waits.milliseconds(share) for name, share in quantiles.items()}
    return {**told, "flood_jobs_per_second": round(waits.flooded / seconds, 1)}


async def run(
    given: argparse.Namespace, server: PostgresServer, redis_url: str, password: str
) -> dict[str, object]:
    """Without and with it."""
    await make_cell(server, password, [tenant(QUIET), tenant(FLOOD)], EPOCH)
    asked = Task(server.dsn("cell", "cell_app", password), "flood", 0, given.jobs, given.rate, given.at_once)
    async with opened(redis_url, server.dsn("cell", "cell_relay", password), asked) as cell:
        alone_first = await measure(cell, 0, given.jobs, given.rate, with_flood=False)
        beside = await measure(cell, given.jobs, given.jobs, given.rate, with_flood=True)
    return {"alone": alone_first, "beside_a_flood": beside}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--rate", type=float, default=10.0, help="jobs a second of the quiet tenant")
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    require_two_cores()
    password = token_hex(8)
    with (
        alone(),
        tempfile.TemporaryDirectory(prefix="cellway-flood-") as folder,
        PostgresServer(Path(folder, "postgres"), password) as server,
        RedisServer(Path(folder, "redis"), password) as redis,
    ):
        Path(folder).chmod(0o755)  # Postgres may run as somebody else
        os.sched_setaffinity(0, {PROXY_CORE})
        logs.configure("bench", "warning", "json")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            found = loop.run(run(given, server, redis.url, password))
    told = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **found,
        "waiting_of_the_flood": dict.fromkeys(LANES, MOST_WAITING),
        "machine": machine(),
    }
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for name, figures in found.items():
        print(f"  {name:16} {figures}")
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
