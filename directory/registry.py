"""Who is running, and where: instances of programs announce themselves, and are forgotten when they fall silent.

For people, health checks and service discovery. Nothing that must be right rests on it: a registry may be empty,
late or gone, and routing goes on.

    memory_registry   the twin
    redis_registry    keys that expire, in the directory's Redis: the embedded default
    consul_registry   services with a TTL check in Consul
    announcing        keeps this process seen, in whichever of them the settings name
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runtime.clock import Clock, SystemClock

SERVICES = ("placement", "router", "mover", "cell", "worker")

LIVES_SECONDS = 15
"""How long an instance that has fallen silent still counts as running."""


MOST_SUSPECTS = 8
"""Cells that one instance names; names have up to 40 characters, and Consul keeps 512."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process. `service` is the program's name; `about`: short facts such as its cell.

    `trouble` says why it is not ready, empty when it is. `suspects`: cells that it gets no answers from just now,
    as a router finds out before anybody else.
    """

    service: str
    instance_id: str
    host: str
    port: int
    admin_port: int
    about: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    suspects: tuple[str, ...] = ()


class Sightings(Protocol):
    """The instances of one service, as they come and go. Of whoever asks for it alone."""

    async def next(self, seconds: float) -> Sequence[Instance]:
        """Who is seen: at once the first time, then when that has changed, or the time is over.

        Unavailable: whoever asks goes on with whom they know, and asks again after a while.
        """

    async def close(self) -> None:
        """Close connections."""


class Registry(Protocol):
    """Instances by service."""

    async def announce(self, instance: Instance) -> None:
        """Appear, or go on being seen, for `LIVES_SECONDS`. Unavailable."""

    async def withdraw(self, instance: Instance) -> None:
        """Disappear at once. Unavailable."""

    async def instances(self, service: str) -> Sequence[Instance]:
        """Who is seen now, ready or not, in the order of their identifiers. Unavailable."""

    def watch(self, service: str) -> Sightings:
        """The same, told when it changes."""

    async def close(self) -> None:
        """Close connections."""


LOOK_SECONDS = 1.0


class Looking:
    """`Sightings` in a registry that tells nobody of changes: it is looked at again and again."""

    def __init__(self, registry: Registry, service: str, clock: Clock | None = None) -> None:
        self._registry, self._service = registry, service
        self._clock = clock or SystemClock()
        self._seen: Sequence[Instance] | None = None

    async def next(self, seconds: float) -> Sequence[Instance]:
        end = self._clock.monotonic() + seconds
        while True:
            found = await self._registry.instances(self._service)
            if found != self._seen or self._clock.monotonic() >= end:
                self._seen = found
                return found
            await self._clock.sleep(min(LOOK_SECONDS, max(0.0, end - self._clock.monotonic())))

    async def close(self) -> None:
        """The registry is its owner's."""
