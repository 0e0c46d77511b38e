"""Dramatiq in this process: its threads take hints from Redis, the work itself runs on the event loop.

One loop and one pool for everything keeps the deadlines in one place; a thread only waits for its turn to end.
Each lane has threads of its own, so that what can wait never takes those of what somebody waits for. While Redis
is away Dramatiq tries again by itself. A hint is acknowledged however its turn ended, because Postgres knows what
is left to do.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from cell.rules.lanes import LANES
from cell.work.hints import ACTOR, Hint, Hinter, queue_of
from cell.work.turns import Turns
from runtime import logs

log = logs.get("cell.threads")
MOST_SECONDS = 120.0
"""Each step has its own deadline; this one is for what nobody thought of."""
POLL_MILLISECONDS = 50
"""How long an idle queue is left alone."""


class Threads:
    """The worker's threads, as a part. `threads` in each lane, each of which has a broker of its own."""

    def __init__(
        self,
        open_one: Callable[[], RedisBroker],
        hinter: Hinter,
        turns: Turns,
        *,
        threads: int,
        drain_seconds: float,
    ) -> None:
        self._hinter, self._turns, self._drain_seconds = hinter, turns, drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers = [
            dramatiq.Worker(
                open_one(), queues={queue_of(lane)}, worker_threads=threads, worker_timeout=POLL_MILLISECONDS
            )
            for lane in LANES
        ]

    def __repr__(self) -> str:
        return f"<Threads of {len(self._workers)} lanes>"

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for lane, worker in zip(LANES, self._workers, strict=True):
            dramatiq.actor(actor_name=ACTOR, queue_name=queue_of(lane), broker=worker.broker)(self._take_turn)
            await asyncio.to_thread(worker.start)

    async def stop(self) -> None:
        """Take no more hints; turns that run may finish."""
        milliseconds = int(self._drain_seconds * 1000)
        await asyncio.gather(*(asyncio.to_thread(worker.stop, timeout=milliseconds) for worker in self._workers))

    def _take_turn(self, *args: Any) -> None:
        """In one of Dramatiq's threads."""
        try:
            tenant_id, epoch, lane = args
            hint = Hint(str(tenant_id), int(epoch), LANES[LANES.index(lane)])
        except (TypeError, ValueError):
            log.warning("hint_malformed")  # of another version, or of somebody else
            return
        if self._loop is None:
            return
        self._hinter.took(hint)
        running = asyncio.run_coroutine_threadsafe(self._turns.take(hint), self._loop)
        try:
            running.result(MOST_SECONDS)
        except concurrent.futures.CancelledError:
            log.warning("turn_cut_short", tenant=hint.tenant_id)
        except Exception as error:
            running.cancel()
            log.error("turn_broke", tenant=hint.tenant_id, error=repr(error), exc_info=error)
