"""The cell's jobs, with all that is around them in a worker: hints in Redis, Dramatiq's threads, turns, the sweep.

Each job writes its row in the transaction that records it as done.

    python -m loadtests.jobs.ours --redis … --dsn … --relay-dsn … --form bulk --jobs … --rate … --at-once …
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import uvloop

from cell.access import enter_at
from cell.database import COMMAND_SECONDS, transaction
from cell.jobs.queueing import enqueue
from cell.jobs.registry import JobType, Registry
from cell.jobs.runner import Claimed, Runner
from cell.load import Meter
from cell.orchestrator.actions import Call, Here
from cell.orchestrator.registry import Registry as Workflows
from cell.orchestrator.runner import Runner as Orchestrations
from cell.rules.lanes import LANES, Lane
from cell.rules.turns import Output
from cell.work.hints import Hint, Hinter, open_broker
from cell.work.sweep import Sweep
from cell.work.threads import Threads
from cell.work.turns import Turns
from loadtests.jobs.queue import Done
from loadtests.jobs.task import Task, main
from runtime import logs
from runtime.database import Connection, Pool, open_pool
from runtime.tasks import Tasks

TENANTS, EPOCH = 8, 1
LEASE_SECONDS = 30.0
MARKED_SECONDS = 15.0
SWEEP_SECONDS = 2.0
OTHER_CONNECTIONS = 4
EFFECT = Path(__file__).with_name("effect.sql").read_text(encoding="utf-8")


def tenant(number: int) -> str:
    """Whose job number so-and-so is."""
    return f"bench-{number % TENANTS}"


def hint_of(number: int) -> Hint:
    """What its worker is told."""
    return Hint(tenant(number), EPOCH, "interactive")


async def act(connection: Connection, call: Call) -> Output:
    """One row."""
    await connection.execute(EFFECT, f"job-{call.payload['number']}", "bench")
    return {}


KINDS: Mapping[Lane, JobType] = {lane: JobType(f"write_{lane}", Here(act), lane=lane) for lane in LANES}
WRITE = KINDS["interactive"]


class Heard(Runner):
    """Tells which jobs are done, once they are committed."""

    def __init__(self, pool: Pool, done: Done) -> None:
        super().__init__(pool, Registry(tuple(KINDS.values())), LEASE_SECONDS)
        self._done_is = done

    def _ended(self, job: Claimed, outcome: str, started: float) -> None:
        super()._ended(job, outcome, started)
        if outcome == "done":
            self._done_is(int(job.args["number"]))


class Cell:
    """The seam's queue."""

    def __init__(self, pool: Pool, relay_pool: Pool, redis_url: str, at_once: int) -> None:
        self.pool, self._relay_pool, self._redis_url, self._at_once = pool, relay_pool, redis_url, at_once
        self.hinter = Hinter(open_broker(redis_url, MARKED_SECONDS), MARKED_SECONDS)

    async def defer_many(self, numbers: Sequence[int]) -> None:
        for first in range(TENANTS):
            async with transaction(self.pool) as connection:
                await enter_at(connection, tenant(numbers[0] + first), EPOCH)
                for number in numbers[first::TENANTS]:
                    await enqueue(connection, WRITE, {"number": number})
            self.hinter.hint(hint_of(numbers[0] + first))

    async def defer(self, number: int) -> None:
        await self.defer_of(tenant(number), number)

    async def defer_of(self, tenant_id: str, number: int) -> None:
        """Whoever's it is."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, tenant_id, EPOCH)
            await enqueue(connection, WRITE, {"number": number})
        self.hinter.hint(Hint(tenant_id, EPOCH, WRITE.lane))

    @asynccontextmanager
    async def working(self, done: Done) -> AsyncIterator[None]:
        turns = Turns(
            *(self.pool, Heard(self.pool, done)),
            *(Orchestrations(self.pool, Workflows(()), LEASE_SECONDS), self.hinter),
            Meter(),
            most_at_once=self._at_once,
            most_of_a_tenant=max(1, self._at_once // 2),
        )
        open_one = partial(open_broker, self._redis_url, MARKED_SECONDS)
        threads = Threads(open_one, self.hinter, turns, threads=self._at_once // 2, drain_seconds=5.0)
        sweep = Sweep(self._relay_pool, self.hinter.hint)
        await threads.start()
        tasks = Tasks()
        tasks.keep("hints", self.hinter.run)
        tasks.keep("sweep", lambda: sweep.repeat(SWEEP_SECONDS))
        try:
            yield
        finally:
            await tasks.close()
            await threads.stop()


@asynccontextmanager
async def opened(redis_url: str, relay_dsn: str, asked: Task) -> AsyncIterator[Cell]:
    """With pools of its own."""
    pool = await open_pool(
        asked.dsn,
        name="bench",
        size=asked.at_once + OTHER_CONNECTIONS,
        command_seconds=COMMAND_SECONDS,
        stateless=True,
    )
    relay_pool = await open_pool(
        relay_dsn, name="bench-relay", size=2, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield Cell(pool, relay_pool, redis_url, asked.at_once)
    await asyncio.gather(pool.close(), relay_pool.close())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--relay-dsn", required=True)
    own, _ = parser.parse_known_args()
    logs.configure("bench", "warning", "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(partial(opened, own.redis, own.relay_dsn)))
