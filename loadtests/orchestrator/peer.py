"""DBOS: the same workflow in its decorators. Runs in the peers' environment.

    python -m loadtests.orchestrator.peer --dsn … --form transaction --workflows … --warm-up … --at-once …

`transaction`: each step is a transaction of a datasource, which happens exactly once. `step`: each step is a plain
one that writes the row on a connection of its own, so a crash may make it happen twice. What DBOS recommends is
what it does by itself, so its settings are its own, but for sizes of pools and for READ COMMITTED, as ours has.
"""

import asyncio

import asyncpg
import sqlalchemy as sa
import uvloop
from dbos import DBOS, AsyncSQLAlchemyDatasource

from loadtests.orchestrator.task import STEPS, Carry, Task, measure, task, tell

TABLE = "CREATE TABLE IF NOT EXISTS effects (step text, number bigint, PRIMARY KEY (step, number))"
EFFECT = "INSERT INTO effects (step, number) VALUES ($1, $2)"
MAPPED = sa.table("effects", sa.column("step"), sa.column("number"))


async def transactions(asked: Task) -> Carry:
    """Five transactions of a datasource."""
    sizes = {"pool_size": asked.at_once, "max_overflow": 0}
    source = await AsyncSQLAlchemyDatasource.create(asked.dsn, engine_kwargs=sizes)

    @source.transaction(isolation_level="READ COMMITTED")
    async def act(step: str, number: int) -> dict[str, int]:
        await source.sql_session().execute(sa.insert(MAPPED).values(step=step, number=number))
        return {"number": number}

    @DBOS.workflow(name="bench")
    async def workflow(number: int) -> None:
        for step in range(STEPS):
            await act(f"step_{step}", number)

    return workflow


async def steps(pool: "asyncpg.Pool[asyncpg.Record]") -> Carry:
    """Five steps that write by themselves."""

    @DBOS.step(name="act")
    async def act(step: str, number: int) -> dict[str, int]:
        await pool.execute(EFFECT, step, number)
        return {"number": number}

    @DBOS.workflow(name="bench")
    async def workflow(number: int) -> None:
        for step in range(STEPS):
            await act(f"step_{step}", number)

    return workflow


async def run() -> None:
    """All of the task."""
    asked = task()
    pool = await asyncpg.create_pool(asked.dsn, min_size=0, max_size=asked.at_once)
    await pool.execute(TABLE)
    DBOS(config={"name": "bench", "system_database_url": asked.dsn, "log_level": "WARNING"})
    workflow = await (transactions(asked) if asked.form == "transaction" else steps(pool))
    DBOS.launch()
    tell(await measure(asked, workflow))
    DBOS.destroy()
    await pool.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(run())
