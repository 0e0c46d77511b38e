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

SERVICES = ("placement", "router", "cell", "worker")

LIVES_SECONDS = 15
"""How long an instance that has fallen silent still counts as running."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process. `service` is the program's name; `about`: short facts such as its cell."""

    service: str
    instance_id: str
    host: str
    port: int
    admin_port: int
    about: Mapping[str, str] = field(default_factory=dict)


class Registry(Protocol):
    """Instances by service."""

    async def announce(self, instance: Instance) -> None:
        """Appear, or go on being seen, for `LIVES_SECONDS`. Unavailable."""

    async def withdraw(self, instance: Instance) -> None:
        """Disappear at once. Unavailable."""

    async def instances(self, service: str) -> Sequence[Instance]:
        """Who is seen now, in the order of their identifiers. Unavailable."""

    async def close(self) -> None:
        """Close connections."""
