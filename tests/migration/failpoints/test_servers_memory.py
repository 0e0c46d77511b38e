"""What a server had promised to nobody dies with it; a move must not have relied on it."""

import asyncio

import pytest

from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import World


async def test_rows_removed_do_not_come_back(world: World) -> None:
    """The source dies right after the end of a move: what was removed there is."""
    client = await world.tenant()
    async with writing(client):
        move = await world.plan(client)
        await world.reaches(move, "REVERSIBLE")
        name = world.lay(client, "done.after")
        await world.ask(move, "confirm")
        await world.arrives(name)
        await world.restart("source")
        world.points.go_on(name)
        await world.reaches(move, "DONE")
    await world.settled(client, "destination")


@pytest.mark.parametrize("place", ["table stock.before", "catch_up.before"])
async def test_chunks_that_were_lost_are_copied_again(world: World, place: str) -> None:
    """The destination dies between two tables, or after the last, and is back before anybody asks for it."""
    client = await world.tenant()
    async with writing(client):
        await client.goes_on(10)
        name = world.lay(client, place)
        move = await world.plan(client, verify=False)
        await world.arrives(name)
        await world.restart("destination")
        world.points.go_on(name)
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


async def test_a_number_that_a_dead_server_gives_twice_is_not_taken_for_the_first(world: World) -> None:
    """A transaction was rolled back, a snapshot counts it as ended, and its number dies with the source's memory.

    It is given again, to a client's write: that is later than the snapshot, though its number is not.
    """
    client = await world.tenant()
    move = await world.plan(client, hold=True)
    await world.reaches(move, "READY")
    epoch = (await world.home(client)).epoch
    name, stepped = (world.lay(client, place) for place in ("step.before", "forgotten at source.before"))
    async with world.places["source"].session("engine_app") as connection:
        await world.arrives(name)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, epoch)
        await connection.execute("UPDATE ledger.stock SET body = 'never' WHERE item = 1")
        await transaction.rollback()
        world.points.go_on(name)
        await world.arrives(stepped)
        world.kill("source")
    await world.start("source")
    async with writing(client):
        await client.goes_on(1)
    world.points.go_on(stepped)
    await world.ask(move, "switch")
    await world.reaches(move, "REVERSIBLE")
    await world.lives(client, "destination")


async def test_a_source_restored_from_elsewhere_is_copied_again(world: World) -> None:
    """Its history is another one: what the destination has may never have been there."""
    client = await world.tenant()
    server, data = world.servers["source"], world.servers["source"].data
    backup = data.with_name("backup")
    await asyncio.to_thread(server.stop)
    await _run("cp", "-a", str(data), str(backup))
    await world.start("source")
    move = await world.plan(client, hold=True)
    await world.reaches(move, "READY")
    async with world.places["source"].session() as connection, connection.transaction():
        await connection.execute(
            "SELECT cellway.enter($1, $2)", client.tenant_id, (await world.home(client)).epoch
        )
        await connection.execute("INSERT INTO ledger.stock (item, body) VALUES (1000, 'gone')")

    await world.reaches(move, "READY")
    await asyncio.to_thread(world.kill, "source")
    await _run("rm", "-rf", str(data))
    await _run("mv", str(backup), str(data))
    await _run("cp", "-p", str(data / "PG_VERSION"), str(data / "recovery.signal"))
    (data / "postgresql.auto.conf").write_text("restore_command = 'false'\n")
    await world.start("source")
    async with writing(client):
        await client.goes_on()
        await world.ask(move, "switch")
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    events = [event.phase for event in await world.moves.events(move.move_id)]
    assert events.count("COPYING") == 2
    assert events.count("VERIFYING") == 2
    await world.lives(client, "destination")


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
