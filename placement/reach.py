"""Which cells have lately not answered, and when each last did.

Evidence of this process alone: a hint for choosing, never a decision.
"""

from collections.abc import Mapping
from datetime import datetime

from placement import metrics
from runtime.clock import Clock, SystemClock

REMEMBERED_SECONDS = 30.0
"""Longer than two rounds of looking at all cells; a cell that answers is believed at once."""
MOST_CELLS = 10_000


class Reach:
    """When each cell was last found silent, and when it last answered."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._silent_since: dict[str, tuple[float, str]] = {}
        self._answered: dict[str, datetime] = {}

    def __repr__(self) -> str:
        return f"<Reach {len(self._silent_since)} silent>"

    def answered(self, cell_id: str) -> None:
        """It is there."""
        if len(self._answered) < MOST_CELLS or cell_id in self._answered:
            self._answered[cell_id] = self._clock.now()
        self._silent_since.pop(cell_id, None)
        metrics.SILENT_CELLS.set(len(self._silent_since))

    def failed(self, cell_id: str, why: str) -> None:
        """It did not answer, or not as a cell."""
        if len(self._silent_since) < MOST_CELLS or cell_id in self._silent_since:
            self._silent_since[cell_id] = (self._clock.monotonic(), why)
        metrics.SILENT_CELLS.set(len(self._silent_since))

    def last_answered(self, cell_id: str) -> datetime | None:
        """None: not since this process began."""
        return self._answered.get(cell_id)

    def silent(self) -> Mapping[str, str]:
        """Cells that lately did not answer, and why."""
        now = self._clock.monotonic()
        return {name: why for name, (at, why) in self._silent_since.items() if now - at < REMEMBERED_SECONDS}
