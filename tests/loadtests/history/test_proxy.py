"""The proxy does what it is told, for as long as it is told, and passes bytes on otherwise."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from loadtests.history.proxy import HOST, Proxy
from loadtests.history.through import through


@pytest.fixture
async def heard() -> list[bytes]:
    """What has come through."""
    return []


@pytest.fixture
async def proxy(heard: list[bytes]) -> AsyncIterator[Proxy]:
    """Before a server that answers each line with itself."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while line := await reader.readline():
                heard.append(line)
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with Proxy("test") as found:
        found.target = lambda: server.sockets[0].getsockname()[1]
        yield found
    server.close()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line)
        return await self.answer()

    async def answer(self) -> bytes:
        async with asyncio.timeout(5):
            return await self._reader.readline()


Connect = Callable[[], Awaitable[Client]]


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    """Makes clients, who are gone in the end."""
    made: list[Client] = []

    async def connected() -> Client:
        made.append(Client(*await asyncio.open_connection(HOST, proxy.port)))
        return made[-1]

    yield connected
    for client in made:
        client.writer.transport.abort()


async def test_bytes_pass_in_both_directions_until_the_end(connect: Connect) -> None:
    """Also the end itself."""
    client = await connect()
    assert await client.ask(b"one\n") == b"one\n"
    client.writer.write_eof()
    assert await client.answer() == b""


async def test_a_cut_resets_what_is_there_and_takes_nothing_new(proxy: Proxy, connect: Connect) -> None:
    """Afterwards it is as before."""
    client = await connect()
    assert await client.ask(b"one\n") == b"one\n"
    async with proxy.cut():
        with pytest.raises(ConnectionResetError):
            await client.answer()
        with pytest.raises(ConnectionResetError):
            await (await connect()).answer()
    assert await (await connect()).ask(b"two\n") == b"two\n"


async def test_what_was_held_comes_late(proxy: Proxy, connect: Connect, heard: list[bytes]) -> None:
    """And nothing of it is lost."""
    client = await connect()
    assert await client.ask(b"one\n") == b"one\n"
    async with proxy.held():
        answer = asyncio.ensure_future(client.ask(b"two\n"))
        await asyncio.wait([answer], timeout=0.05)
        assert (answer.done(), heard) == (False, [b"one\n"])
    assert await answer == b"two\n"


async def test_what_is_asked_of_a_deaf_one_is_done_and_not_answered(
    proxy: Proxy, connect: Connect, heard: list[bytes]
) -> None:
    """In the end the connection breaks, so nobody takes a later answer for this one."""
    client = await connect()
    assert await client.ask(b"one\n") == b"one\n"
    async with proxy.deaf():
        answer = asyncio.ensure_future(client.ask(b"two\n"))
        await asyncio.wait([answer], timeout=0.05)
        assert (answer.done(), heard) == (False, [b"one\n", b"two\n"])
    with pytest.raises(ConnectionResetError):
        await answer


async def test_a_delay_is_for_each_chunk(proxy: Proxy, connect: Connect) -> None:
    """Both ways."""
    client, loop = await connect(), asyncio.get_running_loop()
    async with proxy.delayed(0.05):
        began = loop.time()
        assert await client.ask(b"one\n") == b"one\n"
        assert loop.time() - began >= 0.1


def test_a_mover_is_led_through_by_its_address() -> None:
    """Nothing but the port changes."""
    assert through("postgresql://a:b@127.0.0.1:5432/c?x=1", 7) == "postgresql://a:b@127.0.0.1:7/c?x=1"
