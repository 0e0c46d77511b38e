"""Procrastinate, with psycopg's asynchronous connector. Runs in the peers' environment.

    python -m loadtests.jobs.peer --dsn … --form bulk --jobs … --rate … --at-once …

Its settings are its own, but for the size of its pool and for how many jobs run at a time. Jobs that are done stay
in its table, as they do by default. A crash between the row and the end of the job would write the row again: its
key refuses a second one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import procrastinate
import uvloop
from psycopg_pool import AsyncConnectionPool

from loadtests.jobs.queue import Done
from loadtests.jobs.task import Task, main

TABLE = "CREATE TABLE IF NOT EXISTS effects (number bigint PRIMARY KEY)"
EFFECT = "INSERT INTO effects (number) VALUES (%s) ON CONFLICT DO NOTHING"
BATCH = 1000
OTHER_CONNECTIONS = 2
"""Beside one for each job under way: fetching, and listening."""


class Procrastinate:
    """The seam's queue."""

    def __init__(self, app: procrastinate.App, pool: AsyncConnectionPool, at_once: int) -> None:
        self._app, self._pool, self._at_once = app, pool, at_once
        self._done: Done = _nobody
        self._write = app.task(name="write")(self._written)

    async def _written(self, number: int) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(EFFECT, (number,))
        self._done(number)

    async def defer_many(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), BATCH):
            await self._write.batch_defer_async(*({"number": each} for each in numbers[start : start + BATCH]))

    async def defer(self, number: int) -> None:
        await self._write.defer_async(number=number)

    @asynccontextmanager
    async def working(self, done: Done) -> AsyncIterator[None]:
        self._done = done
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(
                self._app.run_worker_async(concurrency=self._at_once, install_signal_handlers=False)
            )
            yield
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker


def _nobody(_number: int) -> None:
    """No workers run."""


@asynccontextmanager
async def opened(asked: Task) -> AsyncIterator[Procrastinate]:
    """Its schema and the table for the rows, made once."""
    connector = procrastinate.PsycopgConnector(
        conninfo=asked.dsn, min_size=1, max_size=asked.at_once + OTHER_CONNECTIONS
    )
    app = procrastinate.App(connector=connector)
    async with (
        AsyncConnectionPool(asked.dsn, min_size=1, max_size=asked.at_once, open=False) as pool,
        app.open_async(),
    ):
        async with pool.connection() as connection:
            await connection.execute(TABLE)
            found = await connection.execute("SELECT to_regclass('procrastinate_jobs')")
            row = await found.fetchone()
            made = row is not None and row[0] is not None
        if not made:
            await app.schema_manager.apply_schema_async()
        yield Procrastinate(app, pool, asked.at_once)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(opened))
