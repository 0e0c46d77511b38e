"""The contract of the version pointer, asked of every implementation: memory, Redis, and a real Consul."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from directory.consul_pointer import ConsulPointer
from directory.errors import Unavailable
from directory.memory_pointer import MemoryPointer
from directory.pointer import Pointer, Position
from directory.redis_pointer import KEY, RedisPointer
from runtime.embedded import ports
from tests.consuls import ConsulServer
from tests.waiting import eventually

Pair = tuple[Pointer, Pointer]


@pytest.fixture(params=["memory", "redis", "consul"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """Whoever puts, and whoever watches."""
    pointers: Pair
    if request.param == "memory":
        pointers = (one := MemoryPointer()), MemoryPointer(one)
    elif request.param == "redis":
        redis_url = request.getfixturevalue("redis_url")
        pointers = RedisPointer(redis_url), RedisPointer(redis_url)
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


async def test_whoever_waits_is_told_of_a_change_that_comes_meanwhile(pair: Pair) -> None:
    """Not only of what was there when it asked; and of nothing, when the time is over."""
    one, other = pair
    assert await other.next(5) is None
    assert await other.next(0.1) is None
    waiting = asyncio.ensure_future(_told(other))
    await asyncio.sleep(0)
    await one.put(Position("directory", 1))
    assert await waiting == Position("directory", 1)


async def test_each_who_watches_is_told(pair: Pair) -> None:
    """Also whoever put it."""
    one, other = pair
    await one.put(Position("directory", 1))
    assert await _told(one) == await _told(other) == Position("directory", 1)


WRONG = ("hello", {"seq": 1}, [], {"identity": "a", "seq": "many"}, 7, None)


async def test_anything_that_people_write_into_consul_is_no_position(consul_server: ConsulServer) -> None:
    """And is replaced by the next."""
    await consul_server.ready()
    path = f"/v1/kv/test/{secrets.token_hex(4)}"
    pointer = ConsulPointer(consul_server.url, path=path)
    for wrong in WRONG:
        assert await consul_server.put(path, wrong)

        async def nowhere() -> bool:
            return await pointer.next(1) is None

        await eventually(nowhere)
    await pointer.put(Position("directory", 1))
    assert await _told(pointer) == Position("directory", 1)
    await pointer.close()


async def test_anything_that_people_write_into_redis_is_no_position(redis_url: str) -> None:
    """Likewise."""
    pointer, client = RedisPointer(redis_url), redis.asyncio.Redis.from_url(redis_url)
    for wrong in (*(json.dumps(value) for value in WRONG), "{", ""):
        await client.set(KEY, wrong)
        assert await pointer.next(0) is None
        await pointer.put(Position("directory", 1))
        assert await pointer.next(0) == Position("directory", 1)
    await client.aclose()
    await pointer.close()


@pytest.mark.parametrize("kind", ["redis", "consul"])
async def test_a_store_that_is_away_says_so(kind: str) -> None:
    """By its deadline."""
    port = ports.free_port("127.0.0.1")
    pointer: Pointer = (
        RedisPointer(f"redis://127.0.0.1:{port}") if kind == "redis" else ConsulPointer(f"http://127.0.0.1:{port}")
    )
    for call in (pointer.put(Position("directory", 1)), pointer.next(10)):
        with pytest.raises(Unavailable):
            await call
    await pointer.close()
