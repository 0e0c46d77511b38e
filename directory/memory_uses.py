"""The twin of what pools used, in memory: the same promises and errors."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta

from directory.memory import MemoryDirectory
from directory.uses import KEPT_DAYS, DayUse, PoolUse
from directory.values import Term


class MemoryUses:
    """`Uses` beside a `MemoryDirectory`, by whose clock it is today."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._kept: dict[tuple[str, str, date], PoolUse] = {}

    async def record(self, uses: Sequence[PoolUse], term: Term) -> None:
        self._directory.check_term(term)
        today = await self.today()
        for use in uses:
            self._kept[use.region, use.resource, today] = use
        for key in [key for key in self._kept if key[2] <= today - timedelta(days=KEPT_DAYS)]:
            del self._kept[key]

    async def latest(self, days: int) -> Sequence[DayUse]:
        since = await self.today() - timedelta(days=days)
        return [DayUse(key[2], self._kept[key]) for key in sorted(self._kept) if key[2] > since]

    async def today(self) -> date:
        return self._directory.clock.now().astimezone(UTC).date()
