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

TAKING_BACK = (
    "prepare.before", "importing at source.after", "handed over at source.before", "handed over at source.after",
    "capture.before", "captured at destination.after", "step.within", "fenced at destination.after",
    "last step.after", "commit.before", "commit.after", "active at source.after", "moved at destination.after",
    "keep.before", "reversed.before", "reversed.after",
)  # fmt: skip
TAKEN_BACK_CASES: list[tuple[str, Part]] = [(place, part) for place in TAKING_BACK for part in PARTS]
GIVING_BACK = (
    "abort.after", "handed over at source.before", "handed over at source.after", "moved at source.before",
    "moved at source.after", "aborted.before", "aborted.after", "keep.before", "keep.after",
)  # fmt: skip
GIVEN_BACK_CASES: list[tuple[str, Part]] = [(place, part) for place in GIVING_BACK for part in PARTS]


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


@pytest.mark.parametrize(("place", "part"), TAKEN_BACK_CASES[:: 1 if ALL else 13])
async def test_the_way_back_is_taken_whoever_dies(world: World, place: str, part: Part) -> None:
    """From the rows that were left there and kept fresh: none is copied again, and nothing else is left."""
    client = await world.tenant()
    async with writing(client):
        move = await world.plan(client)
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
        name = world.lay(client, place, DIE if part == "mover" else WAIT)
        back = await world.reverse(move)
        if part != "mover":
            await world.arrives(name)
            await world.restart(part)
            world.points.go_on(name)
        await world.reaches(move, "REVERSED")
        back = await world.reaches(back, "REVERSIBLE")
        assert back.progress["rows_copied"] == 0
        await client.goes_on()
        await world.ask(back, "confirm")
        await world.reaches(back, "DONE")
    assert name not in world.points.left()
    await world.settled(client, "source")


@pytest.mark.parametrize(("place", "part"), GIVEN_BACK_CASES[:: 1 if ALL else 9])
async def test_a_way_back_that_is_given_up_is_kept_whoever_dies(world: World, place: str, part: Part) -> None:
    """The first move has its rows again, and keeps them fresh for the next one that takes it."""
    client = await world.tenant()
    async with writing(client):
        move = await world.plan(client)
        await world.reaches(move, "REVERSIBLE")
        back = await world.reverse(move, hold=True)
        await world.reaches(back, "READY")
        name = world.lay(client, place, DIE if part == "mover" else WAIT)
        await world.ask(back, "cancel")
        if part != "mover":
            await world.arrives(name)
            await world.restart(part)
            world.points.go_on(name)
        await world.reaches(back, "ABORTED")
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
        again = await world.reaches(await world.reverse(move), "REVERSIBLE")
        assert again.progress["rows_copied"] == 0
        await world.reaches(move, "REVERSED")
        await world.ask(again, "confirm")
        await world.reaches(again, "DONE")
    assert name not in world.points.left()
    await world.settled(client, "source")
