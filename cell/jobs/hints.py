"""Telling the workers through Redis that a job waits.

Best effort: a hint may be lost, late or doubled. While Redis is away hints are dropped, and the worker's sweep
finds the jobs in Postgres. `Hinter` never makes a request wait: it keeps a bounded queue, and a thread sends.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from cell import metrics
from runtime import logs

log = logs.get("cell.hints")
QUEUE = "cell"
ACTOR = "run_job"
MOST_WAITING = 1000
DEEPEST_QUEUE = 2000
"""With more than this in Redis, the workers have enough to do: further hints would only pile up."""
REDIS_SECONDS = 2.0
MAINTENANCE_CHANCE = 50_000
"""In a million commands. The default of 1,000 lets a killed worker's hints lie for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A job waits; the tenant's fence was at `epoch`."""

    tenant_id: str
    job_id: str
    epoch: int


def open_broker(redis_url: str, heartbeat_seconds: float) -> RedisBroker:
    """A broker that connects when it is used. No middleware: attempts, delays and time limits live in Postgres."""
    client = redis.Redis.from_url(
        redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        health_check_interval=10,
    )
    broker: RedisBroker = RedisBroker(  # type: ignore[no-untyped-call]
        client=client,
        middleware=[],
        heartbeat_timeout=int(heartbeat_seconds * 1000),
        maintenance_chance=MAINTENANCE_CHANCE,
    )
    return broker


class Hinter:
    """Sends hints. `run` is a task."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker
        self._waiting: asyncio.Queue[Hint] = asyncio.Queue(MOST_WAITING)
        broker.declare_queue(QUEUE)

    def __repr__(self) -> str:
        return f"<Hinter {self._waiting.qsize()} waiting>"

    def hint(self, hint: Hint) -> bool:
        """Take a hint to be sent soon; False when too many wait already."""
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(hint)
            return True
        metrics.HINTS.labels("dropped").inc()
        return False

    async def run(self) -> None:
        """Send what waits, all at once."""
        hints = [await self._waiting.get()]
        while not self._waiting.empty():
            hints.append(self._waiting.get_nowait())
        try:
            await asyncio.to_thread(self._send, hints)
        except redis.RedisError as error:
            metrics.HINTS.labels("failed").inc(len(hints))
            log.warning("hints_failed", hints=len(hints), error=type(error).__name__)
            raise

    def _send(self, hints: list[Hint]) -> None:
        if self._broker.do_qsize(QUEUE) > DEEPEST_QUEUE:
            metrics.HINTS.labels("dropped").inc(len(hints))
            return
        for hint in hints:
            args = (hint.tenant_id, hint.job_id, hint.epoch)
            self._broker.enqueue(dramatiq.Message(QUEUE, ACTOR, args, {}, {}))
        metrics.HINTS.labels("sent").inc(len(hints))


async def check_redis(broker: RedisBroker) -> str | None:
    """For health: Redis answers, and never throws hints away to make room. The reason when not."""
    settings = await asyncio.to_thread(broker.client.config_get, "maxmemory-policy")
    policy = settings.get("maxmemory-policy", settings.get(b"maxmemory-policy", "noeviction"))
    policy = policy.decode() if isinstance(policy, bytes) else str(policy)
    return None if policy == "noeviction" else f"Redis evicts ({policy}): set maxmemory-policy to noeviction"
