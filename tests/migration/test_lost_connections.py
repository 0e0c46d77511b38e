"""What a mover hears of a database that goes away."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from directory.rules.tables import Table
from migration.ends import End
from migration.errors import Unavailable
from migration.streams import Pipe, send, unheard
from runtime.embedded.postgres import PostgresServer
from tests.runtime.test_database import lose
from tests.waiting import eventually


def message(kind: bytes, body: bytes) -> bytes:
    """As Postgres sends them."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


GOODBYE = message(b"S", b"application_name\0leaving\0") + message(
    b"E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
)
"""A setting, which is how it is seen that it came; and the server's last word."""
TABLE = Table("public.t", "public", "t", "tenant", True, (), ())


class Doorway:
    """Between a server and its clients."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: list[asyncio.StreamWriter] = []

    async def come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client."""
        self._clients.append(writer)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))

    def say_goodbye(self) -> None:
        """To everybody, in the server's name, and leave them connected."""
        for client in self._clients:
            client.write(GOODBYE)

    def close(self) -> None:
        """Now they are not."""
        for client in self._clients:
            client.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def through(server: PostgresServer) -> AsyncIterator[tuple[Doorway, str]]:
    """A way to the server, and its address."""
    doorway = Doorway(server.port)
    async with await asyncio.start_server(doorway.come, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield doorway, server.admin_dsn.replace(f":{server.port}", f":{port}")
        doorway.close()


async def test_an_end_says_how_its_connection_was_lost(postgres_server: PostgresServer) -> None:
    """And not that asyncpg had nothing left to tear down."""
    end = End(postgres_server.admin_dsn, name="cell-1", tenant_id="t", move_id="m")

    async def loses() -> None:
        async with end, end.connected() as connection:
            await lose(postgres_server, connection)
            raise ConnectionResetError("reset by peer")

    with pytest.raises(Unavailable, match="cell-1 does not answer: reset by peer"):
        await loses()


@pytest.fixture
async def hearing() -> AsyncIterator[None]:
    """As in a mover."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unheard)
    yield
    loop.set_exception_handler(None)


async def test_a_copy_after_the_servers_last_word_is_told_once(
    postgres_server: PostgresServer, hearing: None, caplog: pytest.LogCaptureFixture
) -> None:
    """To whoever began it, in words; asyncpg's complaint that nobody heard of it is not passed on."""
    async with through(postgres_server) as (doorway, dsn):

        async def copies() -> None:
            async with (
                End(dsn, name="cell-1", tenant_id="t", move_id="m") as end,
                end.reading() as reader,
            ):
                doorway.say_goodbye()
                settings = reader.connection.get_settings
                await eventually(lambda: settings().application_name == "leaving")
                await send(reader, TABLE, "SELECT 1", Pipe())

        with pytest.raises(Unavailable, match="cell-1 does not answer: the connection broke"):
            await copies()
    gc.collect()
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_what_nobody_heard_of_for_another_reason_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours must not be lost."""
    loop = asyncio.get_running_loop()
    contexts: list[dict[str, Any]] = [
        {"message": "a fault"},
        {"message": "another", "exception": ValueError(), "future": loop.create_future()},
    ]
    for context in contexts:
        unheard(loop, context)
    assert [record.getMessage().split("\n")[0] for record in caplog.records] == ["a fault", "another"]
