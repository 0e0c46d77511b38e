"""What becomes of a lent connection when its server goes away."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime import database
from runtime.database import Connection, Pool
from runtime.embedded.postgres import PostgresServer
from tests.waiting import eventually


@pytest.fixture
async def pool(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    """Of one connection."""
    found = await database.open_pool(postgres_server.admin_dsn, name="test", size=1)
    yield found
    found.terminate()


async def lose(server: PostgresServer, connection: Connection) -> None:
    """Have the server end it, and see it gone."""
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    other = await database.reach(server.admin_dsn)
    try:
        await other.execute(f"SELECT pg_terminate_backend({pid})")
    finally:
        await other.close()

    await eventually(lambda: database.is_closed(connection))


async def test_a_cancellation_is_one_though_the_connection_is_gone(
    postgres_server: PostgresServer, pool: Pool
) -> None:
    """asyncpg refuses to tear down what is gone, and that refusal must not take the place of what happened."""

    async def is_cancelled() -> None:
        async with asyncio.timeout(10) as deadline:
            async with database.transaction(pool, seconds=10) as connection:
                await lose(postgres_server, connection)
                deadline.reschedule(asyncio.get_running_loop().time())
                await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        await is_cancelled()
    async with database.transaction(pool, seconds=5) as connection:
        assert await connection.fetchval("SELECT 1") == 1
