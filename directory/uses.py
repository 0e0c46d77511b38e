"""The seam of what pools used: a row for each day, region and resource, kept for two years.

postgres_uses   kept in the control database
memory_uses     its twin
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from directory.values import Term

KEPT_DAYS = 730
"""Two years: enough to look back at this time of last year."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What the pool of a region uses of a resource, and holds at `most`; None: no limit known.

    `cells`: how many there are of whose tenants it is the use.
    """

    region: str
    resource: str
    used: float
    most: float | None
    cells: int


@dataclass(frozen=True, slots=True)
class DayUse:
    """What it was on a day (UTC, by the directory's clock), as it was told last."""

    day: date
    use: PoolUse


class Uses(Protocol):
    """Days of use."""

    async def record(self, uses: Sequence[PoolUse], term: Term) -> None:
        """Today's; what was told of the same pool and resource today before is replaced.

        Days that are over two years old go. NotLeader; Unavailable.
        """

    async def latest(self, days: int) -> Sequence[DayUse]:
        """Of today and the days before it, so many in all; by region, resource and day. Unavailable."""

    async def today(self) -> date:
        """By the directory's clock. Unavailable."""
