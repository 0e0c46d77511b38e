"""The contract of the registry, asked of every implementation: memory, Redis, and a real Consul agent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from directory.announcing import BEAT_SECONDS, Announcer
from directory.consul_registry import ConsulRegistry
from directory.errors import Unavailable
from directory.memory_registry import MemoryRegistry
from directory.redis_registry import PREFIX, RedisRegistry
from directory.registry import LIVES_SECONDS, Instance, Registry, Sightings
from runtime.clock import ManualClock, SystemClock
from runtime.embedded import ports
from runtime.health import Health
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.waiting import eventually

ROUTER = Instance("router", "router-1", "127.0.0.1", 8080, 8082, {"version": "0.1.0"})
OTHER = Instance("router", "router-2", "127.0.0.1", 8090, 8092)
CELL = Instance("cell", "cell-1-a", "127.0.0.1", 9000, 9001, {"cell": "cell-1"})


class Shifted(SystemClock):
    """The machine's clock, some time later."""

    by_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.by_seconds


Fall = Callable[[Instance], Awaitable[None]]


@pytest.fixture(params=["memory", "redis", "consul"])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    """An empty registry of each kind."""
    found: Registry
    if request.param == "memory":
        found = MemoryRegistry(Shifted())
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


@pytest.fixture
def fall_silent(registry: Registry) -> Fall:
    """Lets the time be over for which an instance is seen without a beat."""

    async def fall(instance: Instance) -> None:
        if isinstance(registry, MemoryRegistry):
            assert isinstance(registry._clock, Shifted)
            registry._clock.by_seconds += LIVES_SECONDS
        elif isinstance(registry, RedisRegistry):
            await registry._redis.pexpire(f"{PREFIX}:{instance.service}:{instance.instance_id}", 1)
        else:
            assert isinstance(registry, ConsulRegistry)
            path = f"/v1/agent/check/update/beat:{instance.instance_id}"
            await registry._agent.write(path, {"Status": "critical"})

    return fall


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


async def test_an_instance_that_is_not_ready_is_seen_with_its_trouble(registry: Registry) -> None:
    """It runs, and people must see it; a later beat says that all is well. What it suspects is told as well."""
    troubled = replace(ROUTER, trouble="table: empty", suspects=("cell-1", "cell-2"))
    await registry.announce(troubled)
    assert await registry.instances("router") == [troubled]
    await registry.announce(ROUTER)
    assert await registry.instances("router") == [ROUTER]


async def test_an_instance_that_fell_silent_is_not_seen_until_it_beats_again(
    registry: Registry, fall_silent: Fall
) -> None:
    """It was frozen, or cut off; then its next beat is enough, as ready or not as it is by then."""
    for back in (ROUTER, replace(ROUTER, trouble="table: empty")):
        await registry.announce(ROUTER)
        await fall_silent(ROUTER)

        async def unseen() -> bool:
            return list(await registry.instances("router")) == []

        await eventually(unseen)
        await registry.announce(back)

        async def seen(back: Instance = back) -> bool:
            return list(await registry.instances("router")) == [back]

        await eventually(seen)


async def test_what_changes_about_an_instance_is_seen(registry: Registry) -> None:
    """Its address and its facts, under the same identifier."""
    await registry.announce(ROUTER)
    moved = replace(ROUTER, port=8081, about={"version": "0.2.0", "zone": "b"})
    await registry.announce(moved)

    async def seen() -> bool:
        return list(await registry.instances("router")) == [moved]

    await eventually(seen)


async def test_what_is_too_much_for_the_registry_is_cut_and_not_refused(registry: Registry) -> None:
    """A process that has very much trouble is the last that should not be seen."""
    cells = tuple(f"{'c' * 36}-{number:03}" for number in range(40))
    troubled = replace(ROUTER, trouble="x" * 5000, suspects=cells)
    await registry.announce(troubled)

    async def seen() -> bool:
        found = await registry.instances("router")
        return [one.instance_id for one in found if one.trouble and one.suspects] == [ROUTER.instance_id]

    await eventually(seen)


async def test_whoever_watches_is_told_who_comes_and_goes(registry: Registry) -> None:
    """At once the first time, and when the time is over; in between only when something changed."""
    await registry.announce(ROUTER)
    sightings = registry.watch("router")
    assert await sightings.next(30) == [ROUTER]
    for change, seen in (
        (registry.announce(OTHER), [ROUTER, OTHER]),
        (registry.announce(replace(OTHER, trouble="late")), [ROUTER, replace(OTHER, trouble="late")]),
        (registry.withdraw(OTHER), [ROUTER]),
    ):
        waiting = asyncio.ensure_future(_until(sightings, seen))
        await change
        async with asyncio.timeout(10):
            await waiting
    assert await sightings.next(0.1) == [ROUTER]
    await sightings.close()


async def _until(sightings: Sightings, seen: list[Instance]) -> None:
    """Consul carries what its agent was told to the servers, one piece after another."""
    while list(await sightings.next(30)) != seen:
        pass


async def test_the_announcer_tells_why_its_process_is_not_ready() -> None:
    """And whom it suspects, as it is at each beat."""
    clock, health, suspects = ManualClock(), Health(), ["cell-2"]
    registry = MemoryRegistry(clock)
    health.draining = True
    announcer, tasks = Announcer(registry, ROUTER, clock, health=health, suspects=lambda: suspects), Tasks(clock)
    tasks.spawn("announcer", announcer.run())

    async def seen() -> list[Instance]:
        return list(await registry.instances("router"))

    await eventually(seen)
    assert await seen() == [replace(ROUTER, trouble="draining: fails", suspects=("cell-2",))]
    health.draining = False
    suspects.clear()

    async def well() -> bool:
        clock.advance(1)
        return await seen() == [ROUTER]

    await eventually(well)
    await tasks.close()


async def test_a_consul_that_forgot_everything_learns_it_again(own_consul: ConsulServer) -> None:
    """Killed and restarted on the same ports, without a memory. Whoever watches hears nothing wrong meanwhile."""
    server = own_consul
    registry = ConsulRegistry(server.url)
    sightings = registry.watch("router")
    await registry.announce(ROUTER)
    await eventually(lambda: sightings.next(5))
    server.kill()
    with pytest.raises(Unavailable):
        await _until(sightings, [])
    server.start()
    await server.ready()
    await registry.announce(ROUTER)

    async def seen() -> bool:
        return list(await sightings.next(5)) == [ROUTER]

    await eventually(seen)
    await sightings.close()
    await registry.close()


async def test_a_process_that_fell_silent_is_seen_again_as_soon_as_it_beats(consul_server: ConsulServer) -> None:
    """It was frozen, or its agent was restarted: Consul keeps such a check critical, whatever registers anew."""
    await consul_server.ready()
    registry = ConsulRegistry(consul_server.url)
    silent = registry.watch("silent")
    for trouble in ("", "table: empty"):
        instance = replace(ROUTER, instance_id="router-silent", service="silent", trouble=trouble)
        await registry.announce(instance)
        for known in (registry, ConsulRegistry(consul_server.url)):
            await registry._agent.write("/v1/agent/check/update/beat:router-silent", {"Status": "critical"})

            await _until(silent, [])
            await known.announce(instance)
            await _until(silent, [instance])
    await registry.withdraw(instance)
    await silent.close()
    await registry.close()


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
