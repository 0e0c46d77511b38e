"""What a measured program is asked for and what it tells. Nothing of ours is imported: peers need it too."""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

STEPS = 5


@dataclass(frozen=True, slots=True)
class Task:
    """So many workflows, after some that are not counted; `at_once` are under way at any time.

    `first`: the number of the first, because those of an earlier measurement have written their rows.
    """

    dsn: str
    form: str
    first: int
    workflows: int
    warm_up: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Told:
    """What it took. CPU time is the program's own."""

    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


Carry = Callable[[int], Awaitable[None]]
"""Begins workflow number so-and-so, and returns once it has ended."""


def task() -> Task:
    """From the command line."""
    parser = argparse.ArgumentParser()
    for name in ("dsn", "form"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("first", "workflows", "warm-up", "at-once"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return Task(**vars(parser.parse_args()))


async def measure(asked: Task, carry: Carry) -> Told:
    """Warm up, then measure."""
    counted = asked.first + asked.warm_up
    await _all(range(asked.first, counted), asked.at_once, carry)
    gc.collect()
    began, cpu = time.perf_counter(), time.process_time()
    latencies = sorted(await _all(range(counted, counted + asked.workflows), asked.at_once, carry))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return Told(seconds, cpu_seconds, _ms(latencies, 0.5), _ms(latencies, 0.99))


async def _all(numbers: range, at_once: int, carry: Carry) -> list[float]:
    left, latencies = iter(numbers), list[float]()

    async def one_after_the_other() -> None:
        for number in left:
            began = time.perf_counter()
            await carry(number)
            latencies.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())
    return latencies


def _ms(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def tell(told: Told) -> None:
    """To whoever started the program."""
    print(json.dumps(asdict(told)), flush=True)
