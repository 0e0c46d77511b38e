"""A platform whose cells have no fence: everything else works as ever, and the checker must find out.

Writes are captured and moved along as ever; what is gone is that the source refuses them once it is fenced, so
what a router that has not heard of the new cell sends there is acknowledged, and left behind. A stopped Redis of
the directory keeps routers from hearing, as a slow network would.
"""

from importlib.resources import files

from console.platform.blueprint import DIRECTORY_REDIS
from loadtests.history.run import Options, Outcome, run
from loadtests.history.stage import Stage
from runtime import database

MOVES, SECONDS, TENANTS = 2, 12.0, 2
STOPPED_SECONDS = 1.5


async def run_unfenced(stage: Stage, seed: int) -> Outcome:
    """A few moves. The platform is of no use afterwards."""
    await take_fence_away(stage)
    options = Options(
        *(MOVES, SECONDS, seed, TENANTS, ("stop",)),
        most_stop_seconds=STOPPED_SECONDS,
        between_seconds=0.2,
        victims=(DIRECTORY_REDIS,),
        name="unfenced",
    )
    return await run(stage, options)


async def take_fence_away(stage: Stage) -> None:
    """In each cell's database, as only its superuser can."""
    statement = files("loadtests.history").joinpath("unfenced.sql").read_text(encoding="utf-8")
    for cell_id in stage.platform.cells:
        connection = await database.reach(stage.superuser_dsn(cell_id))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
