"""What a mover hears of a database that goes away."""

import pytest

from migration.ends import End
from migration.errors import Unavailable
from runtime.embedded.postgres import PostgresServer
from tests.runtime.test_database import lose


async def test_an_end_says_how_its_connection_was_lost(postgres_server: PostgresServer) -> None:
    """And not that asyncpg had nothing left to tear down."""
    end = End(postgres_server.admin_dsn, name="cell-1", tenant_id="t", move_id="m")

    async def loses() -> None:
        async with end, end.connected() as connection:
            await lose(postgres_server, connection)
            raise ConnectionResetError("reset by peer")

    with pytest.raises(Unavailable, match="cell-1 does not answer: reset by peer"):
        await loses()
