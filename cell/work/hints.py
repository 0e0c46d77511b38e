"""Telling the workers through Redis that a tenant has work.

Best effort: a hint may be lost, late or doubled. While Redis is away hints are dropped, and the worker's sweep
finds the work in Postgres. `Hinter` never makes a request wait: it keeps a bounded set, and a thread sends.
"""

import asyncio
from dataclasses import dataclass

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from cell import metrics
from cell.rules.lanes import LANES, Lane
from runtime import logs

log = logs.get("cell.hints")
ACTOR = "take_turn"
MOST_WAITING = 10_000
MOST_LATER = 10_000
REDIS_SECONDS = 2.0
MAINTENANCE_CHANCE = 50_000
"""In a million commands. The default of 1,000 lets a killed worker's hints lie for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The tenant has work in that lane; its fence was at `epoch`."""

    tenant_id: str
    epoch: int
    lane: Lane

    @property
    def mark(self) -> str:
        """The key in Redis that says that such a hint is on its way."""
        return f"cell:hinted:{self.lane}:{self.tenant_id}"


def queue_of(lane: Lane) -> str:
    """The queue's name."""
    return f"cell.{lane}"


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
    for lane in LANES:
        broker.declare_queue(queue_of(lane))
    return broker


class Hinter:
    """Sends hints. `run` is a task. `marked_seconds`: after it, a hint that nobody took is sent again."""

    def __init__(self, broker: RedisBroker, marked_seconds: float) -> None:
        self._broker, self._marked_seconds = broker, marked_seconds
        self._waiting: dict[Hint, None] = {}
        self._any = asyncio.Event()
        self._later: dict[Hint, asyncio.TimerHandle] = {}

    def __repr__(self) -> str:
        return f"<Hinter {len(self._waiting)} waiting>"

    def hint(self, hint: Hint) -> bool:
        """Take a hint to be sent soon; False when too many wait already."""
        if hint not in self._waiting and len(self._waiting) >= MOST_WAITING:
            metrics.HINTS.labels("dropped").inc()
            return False
        self._waiting[hint] = None
        self._any.set()
        return True

    def hint_later(self, hint: Hint, seconds: float) -> None:
        """The same in a while. Of equal ones the earliest counts; beyond a bound they are left to the sweep."""
        loop = asyncio.get_running_loop()
        known = self._later.get(hint)
        if known is not None and known.when() <= loop.time() + seconds:
            return
        if known is not None:
            known.cancel()
        elif len(self._later) >= MOST_LATER:
            return
        self._later[hint] = loop.call_later(seconds, self._due, hint)

    def _due(self, hint: Hint) -> None:
        del self._later[hint]
        self.hint(hint)

    async def run(self) -> None:
        """Send what waits, all at once."""
        await self._any.wait()
        self._any.clear()
        hints, self._waiting = list(self._waiting), {}
        try:
            await asyncio.to_thread(self._send, hints)
        except redis.RedisError as error:
            metrics.HINTS.labels("failed").inc(len(hints))
            log.warning("hints_failed", hints=len(hints), error=type(error).__name__)
            raise

    def _send(self, hints: list[Hint]) -> None:
        pipe = self._broker.client.pipeline(transaction=False)
        for hint in hints:
            pipe.set(hint.mark, hint.epoch, nx=True, px=int(self._marked_seconds * 1000))
        for hint, is_new in zip(hints, pipe.execute(), strict=True):
            if is_new:
                args = (hint.tenant_id, hint.epoch, hint.lane)
                self._broker.enqueue(dramatiq.Message(queue_of(hint.lane), ACTOR, args, {}, {}))
            metrics.HINTS.labels("sent" if is_new else "spared").inc()

    def took(self, hint: Hint) -> None:
        """In one of the worker's threads, before anything is looked at: what comes from now on is a new hint."""
        try:
            self._broker.client.delete(hint.mark)
        except redis.RedisError:
            log.info("hint_stays_marked", tenant=hint.tenant_id)  # until its time is over


async def check_redis(broker: RedisBroker) -> str | None:
    """For health: Redis answers, and never throws hints away to make room. The reason when not."""
    settings = await asyncio.to_thread(broker.client.config_get, "maxmemory-policy")
    policy = settings.get("maxmemory-policy", settings.get(b"maxmemory-policy", "noeviction"))
    policy = policy.decode() if isinstance(policy, bytes) else str(policy)
    return None if policy == "noeviction" else f"Redis evicts ({policy}): set maxmemory-policy to noeviction"
