"""Keeps one process seen in the registry while it lives."""

from directory.errors import Unavailable
from directory.redis_registry import RedisRegistry
from directory.registry import Instance, Registry
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("directory.announcing")

BEAT_SECONDS = 5.0


def open_registry(redis_url: str, consul_url: str | None, consul_token: str | None = None) -> Registry:
    """Consul when there is one, otherwise the directory's Redis."""
    if not consul_url:
        return RedisRegistry(redis_url)
    # Here, because its client takes a tenth of a second to import, and most processes have no Consul.
    from directory.consul_registry import ConsulRegistry

    return ConsulRegistry(consul_url, consul_token)


class Announcer:
    """Keeps one instance seen while the process lives; `runtime.tasks` keeps `run` going."""

    def __init__(self, registry: Registry, instance: Instance, clock: Clock | None = None) -> None:
        self._registry = registry
        self._instance = instance
        self._clock = clock or SystemClock()
        self._heard = True

    async def run(self) -> None:
        """Announce, again and again. A registry that is away is tried at the next beat, and reported once."""
        while True:
            try:
                await self._registry.announce(self._instance)
                self._heard = True
            except Unavailable as error:
                if self._heard:
                    log.warning("registry_away", error=str(error))
                self._heard = False
            await self._clock.sleep(BEAT_SECONDS)

    async def stop(self) -> None:
        """Withdraw, so that nobody is sent to a process which ends on purpose."""
        try:
            await self._registry.withdraw(self._instance)
        except Unavailable as error:
            log.info("not_withdrawn", error=str(error))
        await self._registry.close()
