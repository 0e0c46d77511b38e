"""What may happen between the fence and the destination's opening, while the tenant's clients wait."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from directory.values import Move
from runtime.database import Connection
from tests.cell.crashes.points import WAIT_AND_DIE
from tests.migration.failpoints.tenants import Client, writing
from tests.migration.failpoints.world import SECONDS, Part, World
from tests.waiting import eventually

AWAY_SECONDS = 2.0
"""Longer than the pause may be and than a lease lives: what is tried is an absence that outlasts both."""
ONLY_COMMITS_WAIT = """
CREATE OR REPLACE FUNCTION directory.wait_for_standby() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('synchronous_commit', 'on', true) WHERE NEW.decision = 'COMMIT'; RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER wait_for_standby BEFORE INSERT ON directory.move_decisions
    FOR EACH ROW EXECUTE FUNCTION directory.wait_for_standby();
"""
"""A decision for the destination becomes durable, and then waits for a standby that does not come."""


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


async def test_a_pause_is_over_in_time_though_the_destination_answers_nothing(world: World) -> None:
    """It stands still in the pause: decided against in `most_pause_ms`, the source is open at once."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "fence.after")
        move = await world.plan(client, pause_budget_ms=300, most_pause_ms=300)
        await world.arrives(name)
        with world.frozen("destination"):
            world.points.go_on(name)
            await refused(client)
            began = time.monotonic()
            await client.goes_on(seconds=10.0)
            assert time.monotonic() - began < 1.0
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


@pytest.mark.parametrize("part", ["source", "directory"])
async def test_a_pause_is_over_soon_after_what_it_waits_for_answers_again(world: World, part: Part) -> None:
    """Nobody decides without the directory, nor writes without the source; but nobody waits for a lease."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, "fence.after")
        move = await world.plan(client, pause_budget_ms=300, most_pause_ms=300)
        await world.arrives(name)
        with world.frozen(part):
            world.points.go_on(name)
            if part == "directory":
                await refused(client)
            await asyncio.sleep(AWAY_SECONDS)
        began = time.monotonic()
        await client.goes_on(seconds=10.0)
        assert time.monotonic() - began < 2.0
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


@pytest.mark.parametrize(("place", "part"), [("commit.before", "destination"), ("commit.before", "directory")])
async def test_a_connection_that_hangs_is_not_waited_for(world: World, place: str, part: Part) -> None:
    """What a tenant waits for is tried again on another one."""
    client = await world.tenant()
    async with writing(client):
        name = world.lay(client, place)
        move = await world.plan(client)
        await world.arrives(name)
        async with world.hanging(part):
            world.points.go_on(name)
            await client.goes_on(seconds=6.0)
        await world.reaches(move, "REVERSIBLE")
        await client.goes_on()
    await world.lives(client, "destination")


async def test_a_source_whose_connection_hangs_is_opened_through_another(world: World) -> None:
    """After a decision against the switch, while the transaction that led to it goes on."""
    client = await world.tenant()
    async with writing(client):
        name, deciding = world.lay(client, "fence.after"), world.lay(client, "release.before")
        move = await world.plan(client, pause_budget_ms=100, most_pause_ms=300)
        await world.arrives(name)
        epoch = (await world.home(client)).epoch
        async with world.places["source"].session("engine_app") as long, long.transaction():
            await long.execute("SELECT cellway.enter($1, $2)", client.tenant_id, epoch)
            await long.execute("UPDATE ledger.stock SET body = body WHERE item = 1")
            world.points.go_on(name)
            await world.arrives(deciding)
            async with world.hanging("source"):
                world.points.go_on(deciding)
                await opened(world, client, seconds=4.0)
        await client.goes_on()
        await world.reaches(move, "REVERSIBLE")
    await world.lives(client, "destination")


async def opened(world: World, client: Client, seconds: float) -> None:
    """The source serves the tenant at the epoch at which it was given back."""

    async def is_open() -> bool:
        here, home = await world.state(client, "source"), await world.home(client)
        assert (here.epoch, here.fence) == (home.epoch, "active")
        return True

    await eventually(is_open, seconds=seconds)


async def refused(client: Client) -> None:
    """A write has met the fence."""
    before = sum(stream.refused for stream in client.streams)
    await eventually(lambda: sum(stream.refused for stream in client.streams) > before, every=0.01)


async def test_a_commit_whose_answer_is_lost_is_read_again(world: World) -> None:
    """The directory dies when it has committed, and nobody was told: the move goes forward."""
    client = await world.tenant()
    async with commits_wait(world) as admin, writing(client):
        move = await world.plan(client)
        await eventually(lambda: waits(admin, "wait_event = 'SyncRep'"), seconds=SECONDS)
        await asyncio.to_thread(world.kill, "directory")
        (world.servers["directory"].data / "postgresql.auto.conf").write_text("")
        await world.start("directory")
        assert (await world.home(client)).cell_id == "destination"
        await client.goes_on(seconds=10.0)
        await world.reaches(move, "REVERSIBLE")
        await switched_once(world, move)
    await world.lives(client, "destination")


async def test_a_commit_that_is_late_is_heard_of(world: World) -> None:
    """It takes longer than the pause may: whoever asks for the opposite is told so, and goes forward at once."""
    client = await world.tenant()
    async with commits_wait(world) as admin, writing(client):
        move = await world.plan(client, pause_budget_ms=300, most_pause_ms=1500)
        await eventually(lambda: waits(admin, "wait_event_type = 'Lock'"), seconds=SECONDS)
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.execute("SELECT pg_reload_conf()")
        await client.goes_on(seconds=5.0)
        await world.reaches(move, "REVERSIBLE")
        await switched_once(world, move)
    await world.lives(client, "destination")


@asynccontextmanager
async def commits_wait(world: World) -> AsyncIterator[Connection]:
    """For a standby that does not come, until the setting is gone; a connection of the directory's superuser."""
    admin = await asyncpg.connect(world.control.admin_dsn, timeout=5)
    await admin.execute(ONLY_COMMITS_WAIT)
    await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await admin.execute("SELECT pg_reload_conf()")

    async def set_up() -> bool:
        return bool(await admin.fetchval("SHOW synchronous_standby_names"))

    await eventually(set_up)
    try:
        yield admin
    finally:
        admin.terminate()


async def waits(admin: Connection, how: str) -> bool:
    """Whether one of the mover's transactions does."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cellway-migration' AND {how}"  # noqa: S608
    return bool(await admin.fetchval(query))


async def switched_once(world: World, move: Move) -> None:
    """Without a second attempt."""
    phases = [event.phase for event in await world.moves.events(move.move_id)]
    assert phases.count("COMMITTED") == phases.count("FENCING") == 1


async def test_a_switch_that_writers_hold_up_is_given_up_and_tried_again(world: World) -> None:
    """A transaction outlives the pause: the source is open again beside it, and the switch comes after it."""
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
            await opened(world, client, seconds=3.0)
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
            move = await world.plan(client, pause_budget_ms=100, most_pause_ms=10_000)
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
