"""A move that is cancelled before its commit leaves the source as it was."""

import asyncio

import pytest

from directory.rules.moves import MoveStep
from tests.cell.crashes.points import DIE, WAIT, WAIT_AND_DIE
from tests.migration.failpoints.conftest import ALL
from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import PARTS, Part, World
from tests.waiting import eventually

BEFORE_COMMIT: tuple[MoveStep, ...] = (
    "prepare", "capture", "copy", "catch_up", "verify", "ready", "fence", "finalize",
)  # fmt: skip
ABORTING = (
    "abort.before", "abort.after", "released at source.after", "emptied at destination.after",
    "moved at destination.after", "aborted.before", "aborted.after", "release.before", "release.after",
)  # fmt: skip
EVERY = 1 if ALL else 8
CASES: list[tuple[str, Part]] = [(place, part) for place in ABORTING for part in PARTS]


@pytest.mark.parametrize("event", BEFORE_COMMIT[EVERY - 1 :: EVERY])
async def test_cancelled_in_any_phase_the_tenant_is_as_it_was(world: World, event: MoveStep) -> None:
    """It is open and not captured, nothing is logged, and the destination is empty."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, f"{event}.after")
        move = await world.plan(client)
        await world.arrives(name)
        await world.ask(move, "cancel")
        world.points.go_on(name)
        await world.reaches(move, "ABORTED")
        await client.goes_on()
    await world.settled(client, "source")


@pytest.mark.parametrize(("place", "part"), CASES[:: 1 if ALL else 30])
async def test_a_cancellation_is_carried_out_whoever_dies(world: World, place: str, part: Part) -> None:
    """Also when it comes during a switch, which is then released."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, place, DIE if part == "mover" else WAIT)
        asked_at = world.lay(client, "last step.after" if "release." in place else "ready.after")
        move = await world.plan(client)
        await world.arrives(asked_at)
        await world.ask(move, "cancel")
        world.points.go_on(asked_at)
        if part != "mover":
            await world.arrives(name)
            await world.restart(part)
            world.points.go_on(name)
        await world.reaches(move, "ABORTED")
        await client.goes_on()
    assert name not in world.points.left()
    await world.settled(client, "source")


async def test_a_destination_that_is_away_does_not_keep_the_source_captured(world: World) -> None:
    """The log would grow as long as it is away."""
    client = await world.tenant()
    async with writing(client):
        move = await world.plan(client, hold=True)
        await world.reaches(move, "READY")
        world.kill("destination")
        await world.ask(move, "cancel")
        await world.reaches(move, "ABORTING")

        async def as_it_was() -> bool:
            here = await world.state(client, "source")
            assert (here.captured, here.logged) == (False, 0)
            return True

        await eventually(as_it_was)
        await world.start("destination")
        await world.reaches(move, "ABORTED")
    await world.settled(client, "source")


async def test_what_was_to_be_verified_in_a_destination_that_is_away_can_be_cancelled(world: World) -> None:
    """Whoever takes it up heeds that before it needs the destination."""
    client = await world.tenant()
    name = world.lay(client, "verify.after", WAIT_AND_DIE)
    move = await world.plan(client)
    await world.arrives(name)
    await asyncio.to_thread(world.kill, "destination")
    world.points.go_on(name)

    async def named() -> bool:
        assert "destination does not answer" in (await world.move(move)).error
        return True

    try:
        await eventually(named, seconds=30.0)
        assert (await world.move(move)).phase == "VERIFYING"
        await world.ask(move, "cancel")
        await world.reaches(move, "ABORTING")
    finally:
        await world.start("destination")
    await world.reaches(move, "ABORTED")
    await world.settled(client, "source")
