"""The registry's twin in memory: the same promises and errors."""

from collections.abc import Sequence

from directory.registry import LIVES_SECONDS, Instance, Looking, Sightings
from runtime.clock import Clock, SystemClock


class MemoryRegistry:
    """`Registry` in a dictionary."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._seen: dict[tuple[str, str], tuple[float, Instance]] = {}

    async def announce(self, instance: Instance) -> None:
        self._seen[instance.service, instance.instance_id] = (self._clock.monotonic() + LIVES_SECONDS, instance)

    async def withdraw(self, instance: Instance) -> None:
        self._seen.pop((instance.service, instance.instance_id), None)

    async def instances(self, service: str) -> Sequence[Instance]:
        now = self._clock.monotonic()
        self._seen = {key: seen for key, seen in self._seen.items() if seen[0] > now}
        return [self._seen[key][1] for key in sorted(self._seen) if key[0] == service]

    def watch(self, service: str) -> Sightings:
        return Looking(self, service, self._clock)

    async def close(self) -> None:
        """Nothing to close."""
