"""Whom the registry sees, and what those say of cells; joined with what placement finds itself.

A registry that is away changes nothing: what was known stays, until it is too old to say anything.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from directory.errors import Unavailable
from directory.registry import Instance, Registry, Sightings
from placement import metrics
from placement.reach import MOST_CELLS, Reach
from placement.rules.standing import LastSeen, Standing, standings
from runtime import logs
from runtime.absences import Absence
from runtime.clock import Clock, SystemClock

log = logs.get("placement.witnesses")

WAIT_SECONDS = 20.0
BELIEVED_SECONDS = 60.0
"""Longer than a Consul needs to choose a leader, and a process to be replaced."""


class Witnesses:
    """The processes of cells and the routers, as they were told last; `runtime.tasks` keeps both followed."""

    def __init__(self, registry: Registry, reach: Reach, clock: Clock | None = None) -> None:
        self._reach = reach
        self._clock = clock or SystemClock()
        self.cells = _Followed("cell", registry.watch("cell"), self._clock)
        self.routers = _Followed("router", registry.watch("router"), self._clock)

    def standings(self, cells: Sequence[str]) -> Mapping[str, Standing]:
        """How each of these cells is, by all who can tell. No I/O."""
        return standings(cells, self._reach.silent(), self.cells.seen(), self.routers.seen())

    def last_seen(self, cell_id: str) -> LastSeen:
        """By placement itself, and by the registry; as far as this process remembers."""
        return LastSeen(self._reach.last_answered(cell_id), self.cells.last_seen.get(cell_id))

    async def close(self) -> None:
        """Close connections."""
        await self.cells.close()
        await self.routers.close()


class _Followed:
    """One service's instances."""

    def __init__(self, service: str, sightings: Sightings, clock: Clock) -> None:
        self._service, self._sightings, self._clock = service, sightings, clock
        self._instances: Sequence[Instance] | None = None
        self._told_at = 0.0
        self.last_seen: dict[str, datetime] = {}
        self._absence = Absence(log, "registry", clock, service=service)

    async def step(self) -> None:
        """Wait for news; when the registry is away, try again after a while."""
        try:
            self._instances = await self._sightings.next(WAIT_SECONDS)
        except Unavailable as error:
            self._absence.noted(error)
            await self._absence.rest()
            return
        self._absence.over()
        self._told_at = self._clock.monotonic()
        now = self._clock.now()
        for cell_id in {instance.about["cell"] for instance in self._instances if "cell" in instance.about}:
            if len(self.last_seen) < MOST_CELLS or cell_id in self.last_seen:
                self.last_seen[cell_id] = now
        metrics.SEEN.labels(self._service).set(len(self._instances))

    def seen(self) -> Sequence[Instance] | None:
        """None while nobody can tell."""
        is_old = self._clock.monotonic() - self._told_at > BELIEVED_SECONDS
        return None if is_old else self._instances

    async def close(self) -> None:
        await self._sightings.close()
