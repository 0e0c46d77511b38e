"""What tenants took, of all processes of this cell, in a hash in Redis: all add to it, one tells it.

A day's hash begins with a name of its own, the *start*. Whoever reads takes differences, and begins anew with
another start: so each hash goes by itself, a lost Redis costs a few minutes, and nothing is ever counted twice.
What cannot be written is dropped, because nobody knows whether it was.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cell import metrics
from cell.errors import Unavailable
from cell.load import Counts, Meter
from runtime import logs

log = logs.get("cell.loads")
REDIS_SECONDS = 2.0
DAY_SECONDS = 24 * 3600
KEPT_SECONDS = DAY_SECONDS + 3600
PROCESS_SECONDS = 90.0
"""A process that has not told of itself for so long has ended."""
MOST_FIELDS = 1_000_000
"""In a day's hash, six a tenant; a fuller one takes no more."""
AT_ONCE = 500
"""Tenants that are added in one transaction: Redis does nothing else meanwhile."""
START, BEGAN, TOTAL = ":start", ":began", ":cpu"
"""No tenant is called so."""
COUNTERS = ("cpu", "network", "requests", "database", "jobs", "wire")
"""Microseconds, bytes, a number, microseconds, microseconds, bytes."""
PROCESSES = "cell:load:processes"
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Sums:
    """What the hash says of some tenants, in the order of COUNTERS. `memory_bytes`: of all processes, if known."""

    start: str
    age_seconds: float
    total_cpu_us: int
    memory_bytes: int | None
    tenants: Mapping[str, Sequence[int]]


class LoadSums:
    """Of one process; `meter` is where it counts. Connects when it is used."""

    def __init__(self, redis_url: str, meter: Meter) -> None:
        # Never tries anything twice: what was lost on the way back would count twice.
        self._client = redis.Redis.from_url(
            redis_url,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._meter = meter
        self._process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    def __repr__(self) -> str:
        return f"<LoadSums of {self._meter!r}>"

    async def repeat(self, seconds: float) -> None:
        """Hand over once, after the rest."""
        await asyncio.sleep(seconds)
        await self.hand_over()

    async def hand_over(self) -> None:
        """Add what was counted since the last time. What Redis does not take is forgotten."""
        taken, cpu_seconds_a_ns = self._meter.take()
        try:
            await asyncio.to_thread(self._add, taken, cpu_seconds_a_ns * 1e6)
        except redis.RedisError as error:
            metrics.LOADS.labels("dropped").inc(len(taken))
            log.info("loads_dropped", tenants=len(taken), error=type(error).__name__)
        else:
            metrics.LOADS.labels("handed over").inc(len(taken))

    def _add(self, taken: Mapping[str, Counts], cpu_us_a_ns: float) -> None:
        now = self._now()
        key = _key(now)
        if self._client.hlen(key) > MOST_FIELDS:
            raise redis.RedisError("the day's hash is full")
        pipe = self._client.pipeline(transaction=True)
        self._begin(pipe, key, now)
        if (resident := resident_bytes()) is not None:
            pipe.hset(PROCESSES, self._process, f"{resident} {now:.0f}")
            pipe.expire(PROCESSES, KEPT_SECONDS)
        pipe.execute()
        left = list(taken.items())
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            self._add_some(key, {tenant_id: _numbers(counts, cpu_us_a_ns) for tenant_id, counts in some})

    def _add_some(self, key: str, taken: Mapping[str, Sequence[int]]) -> None:
        pipe = self._client.pipeline(transaction=True)
        pipe.hincrby(key, TOTAL, sum(numbers[0] for numbers in taken.values()))
        for tenant_id, numbers in taken.items():
            for counter, number in zip(COUNTERS, numbers, strict=True):
                if number:
                    pipe.hincrby(key, f"{tenant_id}:{counter}", number)
        pipe.execute()

    async def read(self, tenants: Sequence[str]) -> Sums:
        """Of these tenants. Unavailable."""
        try:
            return await asyncio.to_thread(self._read, tenants)
        except redis.RedisError as error:
            raise Unavailable(f"the cell's Redis does not answer in time: {type(error).__name__}") from error

    def _read(self, tenants: Sequence[str]) -> Sums:
        now = self._now()
        key = _key(now)
        pipe = self._client.pipeline(transaction=True)
        self._begin(pipe, key, now)
        pipe.hmget(key, [START, BEGAN, TOTAL, *(f"{name}:{counter}" for name in tenants for counter in COUNTERS)])
        pipe.hgetall(PROCESSES)
        *_, values, processes = pipe.execute()
        numbers = [int(value or 0) for value in values[3:]]
        width = len(COUNTERS)
        return Sums(
            *(values[0], max(0.0, now - float(values[1])), int(values[2] or 0), self._resident(processes, now)),
            {name: numbers[at * width : (at + 1) * width] for at, name in enumerate(tenants)},
        )

    def _begin(self, pipe: Any, key: str, now: float) -> None:
        pipe.hsetnx(key, START, secrets.token_hex(8))
        pipe.hsetnx(key, BEGAN, f"{now:.3f}")
        pipe.expire(key, KEPT_SECONDS)

    def _resident(self, processes: Mapping[str, str], now: float) -> int | None:
        told = {name: [float(part) for part in text.split()] for name, text in processes.items()}
        ended = [name for name, (_, at) in told.items() if now - at > PROCESS_SECONDS]
        if ended:
            self._client.hdel(PROCESSES, *ended)
        present: Iterable[float] = [told[name][0] for name in told.keys() - set(ended)]
        return round(sum(present)) or None

    def _now(self) -> float:
        """By Redis, so that all processes of the cell have the same day."""
        seconds, microseconds = self._client.time()
        return float(seconds + microseconds / 1e6)


def resident_bytes() -> int | None:
    """How much memory this process takes; None where the system does not say so."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _key(now: float) -> str:
    return f"cell:load:{int(now // DAY_SECONDS)}"


def _numbers(counts: Counts, cpu_us_a_ns: float) -> tuple[int, ...]:
    return (
        round(counts.step_ns * cpu_us_a_ns),
        counts.network_bytes,
        counts.requests,
        counts.database_ns // 1000,
        counts.job_ns // 1000,
        counts.database_bytes,
    )
