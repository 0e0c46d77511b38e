"""Dramatiq in this process: its threads take hints from Redis, the jobs themselves run on the event loop.

One loop and one pool for everything keeps the deadlines in one place; a thread only waits for its job to end.
While Redis is away Dramatiq tries again by itself. A hint is acknowledged however its job ended, because Postgres
knows what is left to do.
"""

import asyncio
import concurrent.futures
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from cell.jobs.hints import ACTOR, QUEUE, Hint
from cell.jobs.runner import Runner
from runtime import logs

log = logs.get("cell.working")
MOST_SECONDS = 120.0
"""Each step has its own deadline; this one is for what nobody thought of."""


class Working:
    """The worker's threads, as a part."""

    def __init__(self, broker: RedisBroker, runner: Runner, threads: int, drain_seconds: float) -> None:
        self._broker, self._runner, self._drain_seconds = broker, runner, drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=200)

    def __repr__(self) -> str:
        return f"<Working {QUEUE}>"

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=self._broker)(self._run_job)
        await asyncio.to_thread(self._worker.start)

    async def stop(self) -> None:
        """Take no more hints; jobs that run may finish."""
        await asyncio.to_thread(self._worker.stop, timeout=int(self._drain_seconds * 1000))

    def _run_job(self, *args: Any) -> None:
        """In one of Dramatiq's threads."""
        try:
            tenant_id, job_id, epoch = args
            hint = Hint(str(tenant_id), str(job_id), int(epoch))
        except (TypeError, ValueError):
            log.warning("hint_malformed")  # of another version, or of somebody else
            return
        if self._loop is None:
            return
        running = asyncio.run_coroutine_threadsafe(self._runner.run(hint), self._loop)
        try:
            running.result(MOST_SECONDS)
        except concurrent.futures.CancelledError:
            log.warning("job_cut_short", job=hint.job_id)
        except Exception as error:
            running.cancel()
            log.error("job_broke", job=hint.job_id, error=repr(error), exc_info=error)
