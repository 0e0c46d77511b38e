"""Keeps one process seen in the registry while it lives."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from directory.errors import Unavailable
from directory.pointer import Pointer
from directory.redis_pointer import RedisPointer
from directory.redis_registry import RedisRegistry
from directory.registry import Instance, Registry
from runtime import logs
from runtime.absences import Absence
from runtime.clock import Clock, SystemClock
from runtime.health import Health
from runtime.lifecycle import Part
from runtime.settings import SecretStr
from runtime.site import Site
from runtime.tasks import Tasks

log = logs.get("directory.announcing")

BEAT_SECONDS = 5.0
TROUBLED_SECONDS = 1.0
"""Between two beats of a process that is not ready: most are soon."""
Suspects = Callable[[], Sequence[str]]


def open_registry(redis_url: str, consul_url: str | None, consul_token: SecretStr | None) -> Registry:
    """Consul when there is one, otherwise the directory's Redis."""
    return open_consul(consul_url, consul_token) if consul_url else RedisRegistry(redis_url)


def open_consul(url: str, token: SecretStr | None) -> Registry:
    """Consul, for programs that do not know the directory's Redis."""
    # Here, because its client takes a tenth of a second to import, and most processes have no Consul.
    from directory.consul_registry import ConsulRegistry

    return ConsulRegistry(url, token.get_secret_value() if token else None)


def open_pointer(redis_url: str, consul_url: str | None, consul_token: SecretStr | None) -> Pointer:
    """The version pointer: in Consul when there is one, otherwise in the directory's Redis."""
    if consul_url is None:
        return RedisPointer(redis_url)
    from directory.consul_pointer import ConsulPointer

    return ConsulPointer(consul_url, consul_token.get_secret_value() if consul_token else None)


class Listening(Protocol):
    """Something with an address."""

    host: str
    port: int


def announcement(
    registry: Registry,
    service: str,
    site: Listening,
    admin_site: Site,
    about: Mapping[str, str] | None = None,
    *,
    health: Health | None = None,
    suspects: Suspects | None = None,
) -> Part:
    """The part that keeps a program seen; it comes after its sites, whose ports may be the system's choice.

    `health` says whether it is ready, `suspects` which cells it gets no answers from.
    """
    tasks = Tasks()
    announcers: list[Announcer] = []

    async def start() -> None:
        name = f"{service}-{socket.gethostname()}-{os.getpid()}-{admin_site.port}"
        instance = Instance(service, name, _reachable(site.host), site.port, admin_site.port, dict(about or {}))
        announcers.append(Announcer(registry, instance, health=health, suspects=suspects))
        tasks.keep("announce", announcers[0].run)

    async def stop() -> None:
        await tasks.close()
        for announcer in announcers:
            await announcer.stop()

    return Part("announcement", start, stop=stop)


def _reachable(host: str) -> str:
    """A process that listens everywhere is reached by its machine's name."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else host


class Announcer:
    """Keeps one instance seen while the process lives; `runtime.tasks` keeps `run` going."""

    def __init__(
        self,
        registry: Registry,
        instance: Instance,
        clock: Clock | None = None,
        *,
        health: Health | None = None,
        suspects: Suspects | None = None,
    ) -> None:
        self._registry = registry
        self._instance = instance
        self._clock = clock or SystemClock()
        self._health = health
        self._suspects = suspects
        self._absence = Absence(log, "registry", self._clock)

    async def run(self) -> None:
        """Announce, again and again. A registry that is away is tried at the next beat."""
        while True:
            instance = await self._described()
            try:
                await self._registry.announce(instance)
                self._absence.over()
            except Unavailable as error:
                self._absence.noted(error)
            await self._clock.sleep(TROUBLED_SECONDS if instance.trouble else BEAT_SECONDS)

    async def _described(self) -> Instance:
        """The instance as it is now."""
        suspects = tuple(self._suspects()) if self._suspects is not None else ()
        findings = await self._health.findings() if self._health is not None else []
        wrong = (found for found in findings if found.required and not found.ok)
        trouble = "; ".join(f"{found.name}: {found.detail or 'fails'}" for found in wrong)
        return replace(self._instance, trouble=trouble, suspects=suspects)

    async def stop(self) -> None:
        """Withdraw, so that nobody is sent to a process which ends on purpose."""
        try:
            await self._registry.withdraw(self._instance)
        except Unavailable as error:
            log.info("not_withdrawn", error=str(error))
        await self._registry.close()
