"""What a side is asked for, the two measurements, and what they tell. Nothing of ours but the seam is imported.

bulk      all jobs are there before the workers start: jobs a second, CPU time a job
latency   jobs come at a constant rate while workers run: from the call that defers one until its effect is
          committed, and CPU time a job, that of deferring it included
"""

import argparse
import asyncio
import gc
import json
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from loadtests.jobs.queue import Queue
from loadtests.router.cpu import cpu_seconds

WARM_UP_JOBS = 200
DEADLINE_SECONDS = 120.0
BULK, LATENCY = "bulk", "latency"


@dataclass(frozen=True, slots=True)
class Task:
    """`first`: the number of the first job; `rate`: jobs a second, of the measurement of latency alone."""

    dsn: str
    form: str
    first: int
    jobs: int
    rate: float
    at_once: int


@dataclass(frozen=True, slots=True)
class Told:
    """CPU time is of the program and of all below it. In bulk, latencies count from the start of the workers."""

    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


class Progress:
    """When each job was deferred and done, by number."""

    def __init__(self) -> None:
        self.deferred: dict[int, float] = {}
        self.done: dict[int, float] = {}
        self._wanted = 0
        self._enough = asyncio.Event()

    def tell(self, number: int) -> None:
        """This one is done. Only the first time counts."""
        self.done.setdefault(number, time.perf_counter())
        if len(self.done) >= self._wanted:
            self._enough.set()

    async def until(self, jobs: int) -> None:
        """So many are done. TimeoutError."""
        self._wanted = jobs
        if len(self.done) < jobs:
            self._enough.clear()
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._enough.wait()


async def bulk(asked: Task, queue: Queue) -> Told:
    """Some to warm up, then all of them."""
    counted = asked.first + WARM_UP_JOBS
    await queue.defer_many(range(asked.first, counted))
    progress = Progress()
    async with queue.working(progress.tell):
        await progress.until(WARM_UP_JOBS)
    await queue.defer_many(range(counted, counted + asked.jobs))
    progress = Progress()
    gc.collect()
    cpu, began = cpu_seconds(os.getpid()), time.perf_counter()
    async with queue.working(progress.tell):
        await progress.until(asked.jobs)
        used = cpu_seconds(os.getpid()) - cpu
    return _told(used, [ended - began for ended in progress.done.values()], max(progress.done.values()) - began)


async def latency(asked: Task, queue: Queue) -> Told:
    """One after the other at a constant rate; whoever is late catches up."""
    progress = Progress()
    async with queue.working(progress.tell):
        await queue.defer_many(range(asked.first, asked.first + WARM_UP_JOBS))
        await progress.until(WARM_UP_JOBS)
        gc.collect()
        cpu, began = cpu_seconds(os.getpid()), time.perf_counter()

        async def defer(number: int) -> None:
            progress.deferred[number] = time.perf_counter()
            await queue.defer(number)

        async with asyncio.TaskGroup() as group:
            for index in range(asked.jobs):
                await asyncio.sleep(max(0.0, began + index / asked.rate - time.perf_counter()))
                group.create_task(defer(asked.first + WARM_UP_JOBS + index))
        await progress.until(WARM_UP_JOBS + asked.jobs)
        used = cpu_seconds(os.getpid()) - cpu
    latencies = [progress.done[number] - at for number, at in progress.deferred.items()]
    return _told(used, latencies, max(progress.done.values()) - began)


def _told(used: float, latencies: list[float], seconds: float) -> Told:
    ordered = sorted(latencies)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99))
    return Told(seconds, used, p50, p99)


Open = Callable[[Task], AbstractAsyncContextManager[Queue]]


async def main(open_queue: Open) -> None:
    """All of the task that the command line asks for."""
    asked = _task()
    measure: Callable[[Task, Queue], Coroutine[None, None, Told]] = {BULK: bulk, LATENCY: latency}[asked.form]
    async with open_queue(asked) as queue:
        told = await measure(asked, queue)
    print(json.dumps(asdict(told)), flush=True)


def _task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--form", choices=(BULK, LATENCY), required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    return Task(**vars(parser.parse_known_args()[0]))  # a side may have options of its own
