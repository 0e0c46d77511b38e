"""What may happen between the fence and the destination's opening, while the tenant's clients wait."""

import asyncio

import asyncpg

from tests.cell.crashes.points import WAIT_AND_DIE
from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import World
from tests.waiting import eventually

SYNC_NOBODY = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"


async def test_clients_do_not_wait_for_a_destination_that_is_away(world: World) -> None:
    """A mover dies behind the fence, and the destination with it: the source serves again at once."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "fenced at source.after", WAIT_AND_DIE)
        move = await world.plan(client)
        await world.arrives(name)
        await asyncio.to_thread(world.kill, "destination")
        world.points.go_on(name)
        await client.goes_on(seconds=10.0)
        assert (await world.home(client)).cell_id == "source"
        await world.start("destination")
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


async def test_clients_do_not_wait_for_a_source_that_is_away(world: World) -> None:
    """A mover dies behind the commit, and the source with it: the destination serves at once."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "commit.after", WAIT_AND_DIE)
        move = await world.plan(client)
        await world.arrives(name)
        await asyncio.to_thread(world.kill, "source")
        world.points.go_on(name)
        await client.goes_on(seconds=10.0)
        assert (await world.home(client)).cell_id == "destination"
        await world.start("source")
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


async def test_clients_wait_no_longer_than_the_directory_is_away(world: World) -> None:
    """It dies between fence and commit: who was at it lets go once it is back, instead of keeping a lease."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "last step.after")
        move = await world.plan(client)
        await world.arrives(name)
        await world.restart("directory")
        world.points.go_on(name)
        await client.goes_on(seconds=10.0)
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


async def test_a_commit_whose_answer_is_lost_is_read_again(world: World) -> None:
    """The directory dies when it has committed, and nobody was told: the move goes forward."""
    client = await world.tenant()
    server = world.servers["directory"]
    async with writing(client):
        name = world.lay(client, "commit.before")
        move = await world.plan(client)
        await world.arrives(name)
        admin = await asyncpg.connect(server.dsn(), timeout=5)
        # Commits become durable, and then wait for a standby that does not come.
        await admin.execute(SYNC_NOBODY)
        await admin.execute("SELECT pg_reload_conf()")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'directory_mover'"

        async def set_up() -> bool:
            return bool(await admin.fetchval("SHOW synchronous_standby_names"))

        await eventually(set_up)
        world.points.go_on(name)

        async def committing() -> bool:
            return bool(await admin.fetchval(waits))

        await eventually(committing)
        await asyncio.to_thread(world.kill, "directory")
        (server.data / "postgresql.auto.conf").write_text("")
        await world.start("directory")
        admin.terminate()
        assert (await world.home(client)).cell_id == "destination"
        await client.goes_on(seconds=10.0)
        await world.reaches(move, "REVERSIBLE")
        events = [event.phase for event in await world.moves.events(move.move_id)]
        assert events.count("COMMITTED") == 1
        assert events.count("FENCING") == 1
    await world.lives(client, "destination")


async def test_a_switch_that_writers_hold_up_is_given_up_and_tried_again(world: World) -> None:
    """A transaction outlives the pause: the source is open again, and the switch comes when it has ended."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "fence.after")
        move = await world.plan(client, pause_budget_ms=100, most_pause_ms=300)
        await world.arrives(name)
        epoch = (await world.home(client)).epoch
        async with world.places["source"].session("engine_app") as long, long.transaction():
            await long.execute("SELECT cellway.enter($1, $2)", client.tenant_id, epoch)
            await long.execute("UPDATE ledger.stock SET body = body WHERE item = 1")
            world.points.go_on(name)

            async def released() -> bool:
                return (await world.home(client)).epoch > epoch

            await eventually(released)
        await client.goes_on()
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
        assert (await world.move(move)).attempt > 1
    await world.lives(client, "destination")


async def test_a_long_transaction_is_waited_for_before_the_fence(world: World) -> None:
    """While it lasts, nobody is told to go elsewhere."""
    client = await world.tenant()
    async with writing(client):
        epoch = (await world.home(client)).epoch
        await client.goes_on()
        async with world.places["source"].session("engine_app") as long:
            name = world.lay(client, "ready.after")
            move = await world.plan(client, pause_budget_ms=100, most_pause_ms=300)
            await world.arrives(name)
            transaction = long.transaction()
            await transaction.start()
            await long.execute("SELECT cellway.enter($1, $2)", client.tenant_id, epoch)
            await long.execute("UPDATE ledger.stock SET body = body WHERE item = 1")
            world.points.go_on(name)
            for _ in range(5):
                await client.goes_on(10)
            assert sum(stream.refused for stream in client.streams) == 0
            assert (await world.home(client)).epoch == epoch
            await transaction.commit()
        await world.reaches(move, "REVERSIBLE")
        assert (await world.move(move)).attempt == 1
    await world.lives(client, "destination")
