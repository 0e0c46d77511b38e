"""How far this router is behind what was published, by a second witness: the version pointer.

Only shown. A router that is behind serves whom it knows, and a cell refuses what does not belong there.
"""

from directory.errors import Unavailable
from directory.pointer import Pointer, Position
from router import metrics
from router.table import Table
from runtime import logs
from runtime.absences import Absence
from runtime.clock import Clock, SystemClock
from runtime.health import Unhealthy

log = logs.get("router.behind")

WAIT_SECONDS = 20.0
LATE_SECONDS = 5.0
"""A change needs less than a second to every router; it is told of here only when that has long passed."""


class Behind:
    """`runtime.tasks` calls `step` again and again."""

    def __init__(self, pointer: Pointer, table: Table, clock: Clock | None = None) -> None:
        self._pointer, self._table = pointer, table
        self._clock = clock or SystemClock()
        self._position: Position | None = None
        self._told_at = 0.0
        self._absence = Absence(log, "pointer", self._clock)

    async def step(self) -> None:
        """Wait for news. While nobody can tell, what was known stays."""
        try:
            position = await self._pointer.next(WAIT_SECONDS)
        except Unavailable as error:
            self._absence.noted(error)
            await self._absence.rest()
            return
        self._absence.over()
        if position != self._position:
            self._position, self._told_at = position, self._clock.monotonic()
        metrics.CHANGES_BEHIND.set(self.changes)

    @property
    def changes(self) -> int:
        """How many changes were published that are not in the table; 0 also when nobody can tell."""
        if self._position is None or self._position.identity != self._table.identity:
            return 0
        return max(0, self._position.seq - self._table.seq)

    async def check(self) -> str | None:
        """For `/health/ready`, where it is shown only."""
        metrics.CHANGES_BEHIND.set(self.changes)
        if self._position is None:
            return "no pointer yet"
        if self.changes and self._clock.monotonic() - self._told_at > LATE_SECONDS:
            raise Unhealthy(
                f"{self.changes} changes behind what placement published: is this Redis the right one?"
            )
        return f"change {self._position.seq} is published"
