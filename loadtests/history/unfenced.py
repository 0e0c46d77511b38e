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
STOPPED_SECONDS, TRIES = 1.5, 3


async def run_unfenced(stage: Stage, seed: int) -> Outcome:
    """A few moves, and some more when luck hid it. The platform is of no use afterwards."""
    await take_fence_away(stage)
    for attempt in range(1, TRIES + 1):
        options = Options(
            *(MOVES, SECONDS, seed, TENANTS, ("stop",)),
            most_stop_seconds=STOPPED_SECONDS,
            between_seconds=0.2,
            victims=(DIRECTORY_REDIS,),
            name=f"unfenced{attempt}-",
        )
        outcome = await run(stage, options)
        if found_out(outcome):
            break
    return outcome


def found_out(outcome: Outcome) -> dict[str, int]:
    """What shows that there was no fence. What could not be read in the end shows nothing."""
    return {fault: number for fault, number in outcome.verdict.faults().items() if number and fault != "undecided"}


async def take_fence_away(stage: Stage) -> None:
    """In each cell's database, as only its superuser can."""
    statement = files("loadtests.history").joinpath("unfenced.sql").read_text(encoding="utf-8")
    for cell_id in stage.platform.cells:
        connection = await database.reach(stage.superuser_dsn(cell_id))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
