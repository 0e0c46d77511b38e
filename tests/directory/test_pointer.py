"""The contract of the version pointer, asked of memory and a real Consul."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from directory.consul_pointer import ConsulPointer
from directory.errors import Unavailable
from directory.memory_pointer import MemoryPointer
from directory.pointer import Pointer, Position
from runtime.embedded import ports
from tests.consuls import ConsulServer
from tests.waiting import eventually

Pair = tuple[Pointer, Pointer]


@pytest.fixture(params=["memory", "consul"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """Whoever puts, and whoever watches."""
    pointers: Pair
    if request.param == "memory":
        pointers = (one := MemoryPointer()), MemoryPointer(one)
    else:
        server: ConsulServer = request.getfixturevalue("consul_server")
        await server.ready()
        path = f"/v1/kv/test/{secrets.token_hex(4)}"
        pointers = ConsulPointer(server.url, path=path), ConsulPointer(server.url, path=path)
    yield pointers
    for pointer in pointers:
        await pointer.close()


async def test_whoever_watches_is_told_at_once_and_at_each_change(pair: Pair) -> None:
    """Nowhere, at first."""
    one, other = pair
    assert await other.next(5) is None
    for seq in (3, 4, 9):
        await one.put(Position("directory", seq))
        assert await _told(other) == Position("directory", seq)
    assert await other.next(0.1) == Position("directory", 9)


async def _told(pointer: Pointer) -> Position | None:
    async with asyncio.timeout(10):
        return await pointer.next(20)


async def test_it_never_goes_back_within_one_directory(pair: Pair) -> None:
    """Several publishers tell what they saw last, and some of them late; another directory counts anew."""
    one, other = pair
    await asyncio.gather(*(one.put(Position("directory", seq)) for seq in (5, 2, 7, 1)))
    await other.put(Position("directory", 6))
    assert await _told(other) == Position("directory", 7)
    await one.put(Position("restored", 2))
    assert await _told(other) == Position("restored", 2)


async def test_anything_that_people_write_there_is_no_position(consul_server: ConsulServer) -> None:
    """And is replaced by the next."""
    await consul_server.ready()
    path = f"/v1/kv/test/{secrets.token_hex(4)}"
    pointer = ConsulPointer(consul_server.url, path=path)
    for wrong in ("hello", {"seq": 1}, [], {"identity": "a", "seq": "many"}):
        assert await consul_server.put(path, wrong)

        async def nowhere() -> bool:
            return await pointer.next(1) is None

        await eventually(nowhere)
    await pointer.put(Position("directory", 1))
    assert await _told(pointer) == Position("directory", 1)
    await pointer.close()


async def test_a_consul_that_is_away_says_so() -> None:
    """By its deadline."""
    pointer = ConsulPointer(f"http://127.0.0.1:{ports.free_port('127.0.0.1')}")
    for call in (pointer.put(Position("directory", 1)), pointer.next(10)):
        with pytest.raises(Unavailable):
            await call
    await pointer.close()
