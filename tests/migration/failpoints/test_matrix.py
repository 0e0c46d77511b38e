"""kill -9 at every boundary of every phase of a move: of the mover, and of each database that it works with.

Whatever dies there, the move ends by itself, with the tenant in the destination. Clients write all the while.
"""

from collections.abc import Sequence

import pytest

from directory.rules.moves import MoveStep
from tests.cell.crashes.points import DIE, WAIT
from tests.migration.failpoints.conftest import ALL
from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import PARTS, Part, World

FORWARD: Sequence[MoveStep] = (
    "prepare", "capture", "copy", "catch_up", "verify", "ready", "fence", "finalize", "commit", "activate",
    "drain", "keep", "clean", "done",
)  # fmt: skip
WORK = (
    "importing at destination.after", "captured at source.after", "chunk.within", "chunk of lines.after",
    "step.within",
    "fenced at source.before", "fenced at source.after", "last step.after", "active at destination.before",
    "active at destination.after", "moved at source.after", "emptied at source.after",
)  # fmt: skip
PLACES = (*(f"{event}.{moment}" for event in FORWARD for moment in ("before", "after")), *WORK)
EVERY = 1 if ALL else 41
CASES: list[tuple[str, Part]] = [(place, part) for place in PLACES for part in PARTS]


@pytest.mark.parametrize(("place", "part"), CASES[::EVERY])
async def test_a_move_ends_well_whoever_dies(world: World, place: str, part: Part) -> None:
    """And nothing of it is left."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, place, DIE if part == "mover" else WAIT)
        move = await world.plan(client)
        confirmed = place.startswith(("clean.", "done.", "emptied"))
        if confirmed:
            await world.reaches(move, "REVERSIBLE")
            await world.ask(move, "confirm")
        if part != "mover":
            await world.arrives(name)
            await world.restart(part)
            world.points.go_on(name)
        if not confirmed:
            await world.reaches(move, "REVERSIBLE")
            await client.goes_on()
            await world.ask(move, "confirm")
        await world.reaches(move, "DONE")
        await client.goes_on()
    assert name not in world.points.left()
    await world.settled(client, "destination")
