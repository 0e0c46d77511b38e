"""What goes on beside a move: other moves, another mover, and the directory's Redis, which has no part in it."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from directory.errors import DirectoryError
from directory.publisher import Publisher
from directory.redis_feed import RedisFeed
from runtime.embedded.redis import RedisServer
from tests.migration.failpoints.tenants import writing
from tests.migration.failpoints.world import World
from tests.servers import PASSWORD
from tests.waiting import eventually

TENANTS = 4


async def test_two_movers_share_the_moves_and_decide_each_once(world: World) -> None:
    """However they are claimed, each tenant is committed once and ends in one cell."""
    clients = [await world.tenant() for _ in range(TENANTS)]
    async with AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(writing(client))
        moves = await asyncio.gather(*(world.plan(client) for client in clients))
        for client, move in zip(clients, moves, strict=True):
            await world.reaches(move, "REVERSIBLE")
            await client.goes_on()
    for client, move in zip(clients, moves, strict=True):
        phases = [event.phase for event in await world.moves.events(move.move_id)]
        assert phases.count("COMMITTED") == 1
        await world.lives(client, "destination")


async def test_moves_go_on_while_the_directorys_redis_is_away(world: World, tmp_path: Path) -> None:
    """It only tells routers: once it is back, empty, it is told where everybody lives."""
    client = await world.tenant()
    with RedisServer(tmp_path / "redis" / "data", PASSWORD) as server:
        feed = RedisFeed(server.url)
        publisher = Publisher(world.directory, feed)
        await publisher.flush()
        before = await feed.look_up(client.tenant_id)
        assert before is not None
        assert before.cell_id == "source"
        server.stop()
        async with writing(client):
            move = await world.plan(client)
            await world.reaches(move, "REVERSIBLE")
            await client.goes_on()
        server.start()
        home = await world.home(client)

        async def told() -> bool:
            try:
                await publisher.flush()
                after = await feed.look_up(client.tenant_id)
            except DirectoryError as error:
                raise AssertionError(repr(error)) from error
            assert after is not None
            assert (after.cell_id, after.epoch) == ("destination", home.epoch)
            return True

        await eventually(told)
        await feed.close()
    await world.lives(client, "destination")


async def test_a_move_says_which_share_of_its_copy_it_waited_to_spare_its_source(world: World) -> None:
    """Of a small tenant nearly none: nobody waits to know what is usual for what is done in a moment."""
    client = await world.tenant()
    move = await world.reaches(await world.plan(client), "REVERSIBLE")
    assert 0 <= move.progress["throttled"] < 1


async def test_planners_know_of_a_large_tenant_before_it_is_served_in_its_new_home(world: World) -> None:
    """They were told last when there was nobody; until they are told again, its own statements would be slow."""
    client, home = await world.tenant(), world.places["destination"]
    for place in world.places.values():
        await place.execute("ANALYZE ledger.shelves")
    source = await world.home(client)
    async with world.places["source"].session() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, source.epoch)
        await connection.execute(
            "INSERT INTO ledger.shelves SELECT $1, n, 'many' FROM generate_series(1000, 6000) n", client.tenant_id
        )
    await world.reaches(await world.plan(client), "REVERSIBLE")
    expected = "EXPLAIN (FORMAT JSON) SELECT FROM ledger.shelves WHERE tenant_id = '{}'"
    [[plan]] = await home.fetch(expected.format(client.tenant_id))
    assert json.loads(plan)[0]["Plan"]["Plan Rows"] > 2500
