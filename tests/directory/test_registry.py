"""The contract of the registry, asked of every implementation: memory, Redis, and a real Consul agent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from directory.announcing import BEAT_SECONDS, Announcer
from directory.consul_registry import ConsulRegistry
from directory.errors import Unavailable
from directory.memory_registry import MemoryRegistry
from directory.redis_registry import RedisRegistry
from directory.registry import LIVES_SECONDS, Instance, Registry
from runtime.clock import ManualClock
from runtime.embedded import ports
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.waiting import eventually

ROUTER = Instance("router", "router-1", "127.0.0.1", 8080, 8082, {"version": "0.1.0"})
OTHER = Instance("router", "router-2", "127.0.0.1", 8090, 8092)
CELL = Instance("cell", "cell-1-a", "127.0.0.1", 9000, 9001, {"cell": "cell-1"})


@pytest.fixture(params=["memory", "redis", "consul"])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    """An empty registry of each kind."""
    found: Registry
    if request.param == "memory":
        found = MemoryRegistry()
    elif request.param == "redis":
        found = RedisRegistry(request.getfixturevalue("redis_url"))
    else:
        server: ConsulServer = request.getfixturevalue("consul_server")
        await server.ready()
        found = ConsulRegistry(server.url)
        for instance in (ROUTER, OTHER, CELL):
            await found.withdraw(instance)
    yield found
    await found.close()


async def test_an_announced_instance_is_seen_under_its_service(registry: Registry) -> None:
    """With everything that was said about it, and under no other service."""
    await registry.announce(OTHER)
    await registry.announce(ROUTER)
    await registry.announce(CELL)
    assert await registry.instances("router") == [ROUTER, OTHER]
    assert await registry.instances("cell") == [CELL]
    assert await registry.instances("placement") == []


async def test_announcing_again_changes_nothing(registry: Registry) -> None:
    """A beat is idempotent."""
    for _ in range(3):
        await registry.announce(ROUTER)
    assert await registry.instances("router") == [ROUTER]


async def test_a_withdrawn_instance_is_gone_at_once(registry: Registry) -> None:
    """Withdrawing somebody who was never there does nothing."""
    await registry.announce(ROUTER)
    await registry.withdraw(ROUTER)
    await registry.withdraw(OTHER)
    assert await registry.instances("router") == []


async def test_an_instance_that_falls_silent_is_forgotten() -> None:
    """After a while, not at the first late beat."""
    clock = ManualClock()
    registry = MemoryRegistry(clock)
    await registry.announce(ROUTER)
    clock.advance(LIVES_SECONDS - 1)
    assert await registry.instances("router") == [ROUTER]
    clock.advance(1)
    assert await registry.instances("router") == []


async def test_the_announcer_beats_and_withdraws() -> None:
    """Seen for as long as the process lives, gone when it ends on purpose."""
    clock = ManualClock()
    registry = MemoryRegistry(clock)
    announcer, tasks = Announcer(registry, ROUTER, clock), Tasks(clock)
    tasks.spawn("announcer", announcer.run())
    for _ in range(10):
        await eventually(lambda: registry.instances("router"))
        clock.advance(BEAT_SECONDS)
        for _ in range(3):
            await asyncio.sleep(0)
    await tasks.close()
    await announcer.stop()
    assert await registry.instances("router") == []


@pytest.mark.parametrize("kind", ["redis", "consul"])
async def test_a_registry_that_is_away_says_so(kind: str, tmp_path: Path) -> None:
    """By its deadline; the announcer goes on."""
    port = ports.free_port("127.0.0.1")
    registry: Registry = (
        RedisRegistry(f"redis://127.0.0.1:{port}")
        if kind == "redis"
        else ConsulRegistry(f"http://127.0.0.1:{port}")
    )
    for call in (registry.announce(ROUTER), registry.withdraw(ROUTER), registry.instances("router")):
        with pytest.raises(Unavailable):
            await call
    await Announcer(registry, ROUTER).stop()
