"""What passes over a connection is counted to the byte where the kernel knows it, and not at all elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from runtime.wire import Wire

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Say = Callable[[int], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All of it, doubled."""
    while received := await reader.read(65536):
        writer.write(received * 2)
    writer.close()


@asynccontextmanager
async def connected(
    server: asyncio.Server, connect: Callable[[], Awaitable[Streams]]
) -> AsyncIterator[tuple[Say, asyncio.BaseTransport]]:
    """Something that says so many bytes, and hears twice as many."""
    async with server:
        reader, writer = await connect()

        async def say(many: int) -> None:
            writer.write(b"x" * many)
            await reader.readexactly(2 * many)

        yield say, writer.transport
        writer.close()
        await writer.wait_closed()


async def test_bytes_both_ways_are_counted_since_the_last_time() -> None:
    """From the making on; and of a closed connection nothing is known."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with connected(server, lambda: asyncio.open_connection(*server.sockets[0].getsockname())) as (
        say,
        transport,
    ):
        await say(100)
        wire = Wire(transport)
        assert wire.passed() == 0
        await say(5)
        assert wire.passed() == 15
        for many in (1, 200_000):
            await say(many)
        assert (wire.passed(), wire.passed()) == (3 * 200_001, 0)
    assert wire.passed() is None


def test_of_a_closed_connection_nothing_is_known_in_the_loop_of_our_programs_either() -> None:
    """uvloop's sockets say so with an error of their own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_closed())


async def _closed() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with connected(server, lambda: asyncio.open_connection(*server.sockets[0].getsockname())) as (
        say,
        transport,
    ):
        wire = Wire(transport)
        await say(5)
        assert wire.passed() == 15
    assert wire.passed() is None


async def test_of_a_unix_socket_nothing_is_known(tmp_path: Path) -> None:
    """The kernel counts none of its bytes."""
    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(echo, path)
    async with connected(server, lambda: asyncio.open_unix_connection(path)) as (say, transport):
        wire = Wire(transport)
        await say(5)
        assert wire.passed() is None
