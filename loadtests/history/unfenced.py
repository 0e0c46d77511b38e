"""A platform whose cells have no fence: everything else works as ever, and the checker must find out.

Writes are captured and moved along as ever; what is gone is that the source refuses them once it is fenced, so
what a router that has not heard of the new cell sends there is acknowledged, and left behind. A stopped Redis of
the directory keeps routers from hearing, as a slow network would.
"""

from importlib.resources import files
from pathlib import Path

from console.platform.blueprint import DIRECTORY_REDIS
from loadtests.history.run import Options, Outcome, disturbed
from loadtests.history.stage import Stage, staged
from runtime import database

MOVES = 8
SECONDS = 40.0


async def run(folder: Path, seed: int) -> Outcome:
    """A few moves."""
    async with staged(folder) as stage:
        await take_fence_away(stage)
        options = Options(
            *(MOVES, SECONDS, seed, 2, ("stop",)), 2.0, between_seconds=1.0, victims=(DIRECTORY_REDIS,)
        )
        return await disturbed(stage, options)


async def take_fence_away(stage: Stage) -> None:
    """In each cell's database, as only its superuser can."""
    statement = files("loadtests.history").joinpath("unfenced.sql").read_text(encoding="utf-8")
    for cell_id in stage.platform.cells:
        connection = await database.reach(stage.superuser_dsn(cell_id))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
