"""A mover is stopped for longer than its lease, and wakes up when somebody else has done its work."""

import asyncio
from typing import Any

import pytest

from directory.values import Move
from tests.migration.failpoints.conftest import ALL
from tests.migration.failpoints.tenants import Client, writing
from tests.migration.failpoints.world import World
from tests.waiting import eventually

PLACES = (
    "prepare.before", "importing at destination.before", "captured at source.before", "note.within",
    "chunk.within",
    "step.within", "fence.after", "fenced at source.after", "last step.after", "commit.before", "commit.after",
    "active at destination.after", "moved at source.before",
)  # fmt: skip
EVERY = 1 if ALL else 11


async def everything(world: World, client: Client, move: Move) -> list[Any]:
    """What is known of a tenant and its move anywhere."""
    now = await world.move(move)
    told = (now.phase, now.token, now.epochs, now.progress, now.proof, now.attempt)
    found: list[Any] = [await world.home(client), told, await world.moves.events(move.move_id)]
    for cell_id, place in world.places.items():
        found.append(await world.state(client, cell_id))
        found.append(await place.fetch("SELECT * FROM cellway.moves WHERE tenant_id = $1", client.tenant_id))
    return found


@pytest.mark.parametrize("place", PLACES[EVERY - 1 :: EVERY])
async def test_who_was_asleep_changes_nothing_any_more(world: World, place: str) -> None:
    """The move ends without it, and it is told so wherever it goes on."""
    client = await world.tenant()
    async with writing(client):
        stopping = asyncio.create_task(world.stops(client, place))
        await asyncio.sleep(0)
        move = await world.plan(client)
        sleeper = await stopping
        await client.goes_on(seconds=20.0)
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
        await world.ask(move, "confirm")
        await world.reaches(move, "DONE")
        await client.goes_on()
    before = await everything(world, client, move)
    world.wake(sleeper)

    def told() -> bool:
        return any(move.move_id in line and "move_superseded" in line for line in sleeper.read_text().splitlines())

    await eventually(told)
    assert await everything(world, client, move) == before
    await world.settled(client, "destination")


async def test_who_was_asleep_does_not_touch_the_next_move(world: World) -> None:
    """It was about to forget what was logged for a move that was cancelled; by now another one is under way."""
    client = await world.tenant()
    async with writing(client):
        move = await world.plan(client, hold=True)
        await world.reaches(move, "READY")
        stopping = asyncio.create_task(world.stops(client, "released at source.after"))
        await asyncio.sleep(0)
        await world.ask(move, "cancel")
        sleeper = await stopping
        await world.reaches(move, "ABORTED")
        name = world.lay(client, "catch_up.after")
        second = await world.plan(client, verify=False)
        await world.arrives(name)
        await client.goes_on()
        world.wake(sleeper)
        await eventually(lambda: "move_superseded" in sleeper.read_text())
        await client.goes_on()
        world.points.go_on(name)
        await world.reaches(second, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")
