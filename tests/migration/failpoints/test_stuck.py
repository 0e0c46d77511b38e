"""A move that does not go on says where and why, for as long as it is so."""

import pytest

from directory.values import Move
from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import Part, World
from tests.waiting import eventually

SECONDS = 30.0


async def says(world: World, move: Move, *words: str) -> None:
    """Its error has all of these."""

    async def said() -> bool:
        error = (await world.move(move)).error
        assert all(word in error for word in words), error
        return True

    await eventually(said, seconds=SECONDS)


async def goes_on(world: World, move: Move) -> None:
    """Nothing is in its way any more."""

    async def silent() -> bool:
        now = await world.move(move)
        assert now.error == "", now.error
        return True

    await eventually(silent, seconds=SECONDS)


@pytest.mark.parametrize("part", ["source", "destination"])
async def test_a_database_that_is_away_is_named(world: World, part: Part) -> None:
    """Also while nothing but the difference is kept small, or the way back fresh."""
    client = await world.tenant()
    move = await world.plan(client, hold=True)
    await world.reaches(move, "READY")
    world.kill(part)
    await says(world, move, f"{part} does not answer")
    await world.start(part)
    await goes_on(world, move)
    await world.ask(move, "switch")
    await world.reaches(move, "REVERSIBLE")
    world.kill(part)
    await world.ask(move, "run")
    await says(world, move, f"{part} does not answer")
    await world.start(part)
    await goes_on(world, move)
    await world.lives(client, "destination")


@pytest.mark.parametrize(
    ("place", "words"), [("prepare.after", ()), ("ready.after", ("the switch waits",))], ids=["capture", "switch"]
)
async def test_a_transaction_that_does_not_end_is_named(world: World, place: str, words: tuple[str, ...]) -> None:
    """By its process, so that somebody can look what it does, or end it."""
    client = await world.tenant()
    name = world.lay(client, place)
    move = await world.plan(client)
    await world.arrives(name)
    epoch = (await world.home(client)).epoch
    async with world.places["source"].session("engine_app") as long, long.transaction():
        await long.execute("SELECT cellway.enter($1, $2)", client.tenant_id, epoch)
        await long.execute("UPDATE ledger.stock SET body = body WHERE item = 1")
        process = await long.fetchval("SELECT pg_backend_pid()")
        world.points.go_on(name)
        await says(world, move, "source", "do not end", f"process {process} of engine_app", *words)
    async with writing(client):
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await goes_on(world, move)
    await world.lives(client, "destination")


async def test_an_obstacle_is_told_until_somebody_has_mended_it(world: World) -> None:
    """And the move is tried again at once when that is said."""
    client = await world.tenant()
    async with world.places["destination"].session() as connection:
        await connection.execute("SELECT cellway.set_fence($1, 1, 'active', NULL)", client.tenant_id)
    move = await world.plan(client)
    await says(world, move, "the fence of destination is active at epoch 1", "cellway doctor")
    assert (await world.move(move)).phase == "PREPARED"
    async with world.places["destination"].session() as connection:
        await connection.execute("SELECT cellway.set_fence($1, 2, 'moved', NULL)", client.tenant_id)
    await world.ask(move, "run")
    await world.reaches(move, "REVERSIBLE")
    await goes_on(world, move)
    await world.lives(client, "destination")


async def test_nobody_waits_for_a_switch_into_a_cell_that_takes_no_tenants(world: World) -> None:
    """The directory is asked before the fence, and says why; once the cell is open the move goes on."""
    client = await world.tenant()
    move = await world.plan(client, hold=True)
    await world.reaches(move, "READY")
    await world.directory.change_cell("destination", "cordon")
    try:
        async with writing(client):
            await world.ask(move, "switch")
            await says(world, move, "the switch waits: cell destination is cordoned and takes nobody", "cancel")
            await world.ask(move, "switch")
            await client.goes_on()
            now = await world.move(move)
            assert (now.phase, now.attempt) == ("READY", 1)
            assert "FENCING" not in {event.phase for event in await world.moves.events(move.move_id)}
            await world.directory.change_cell("destination", "open")
            await world.ask(move, "switch")
            await world.reaches(move, "REVERSIBLE")
            await client.goes_on()
    finally:
        if (await world.directory.cell("destination")).state != "open":
            await world.directory.change_cell("destination", "open")
    await goes_on(world, move)
    await world.lives(client, "destination")
