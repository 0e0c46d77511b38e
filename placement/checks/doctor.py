"""Asks everything, each by a deadline, and answers with one list."""

import asyncio
from collections.abc import Awaitable, Sequence

from directory.control.client import CellControl
from directory.control.contract import Check
from directory.errors import DirectoryError
from directory.leadership import Leadership, Terms
from directory.redis_feed import RedisFeed
from directory.truth import Directory
from directory.values import Cell
from placement.checks import cache, cells, fleet, leaders
from placement.checks import witnesses as seen
from placement.choosing import Chooser
from placement.forecasts import Forecasts
from placement.witnesses import Witnesses
from runtime.clock import Clock, SystemClock

CHECK_SECONDS = 20.0
"""For one check, of however many pages."""
ALL_SECONDS = 55.0
CELLS_AT_ONCE = 8


class Doctor:
    """Examines the running system; changes nothing."""

    def __init__(
        self,
        directory: Directory,
        feed: RedisFeed,
        control: CellControl,
        led: tuple[Leadership, Terms],
        witnesses: Witnesses,
        chooser: Chooser,
        forecasts: Forecasts,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._led = led
        self._witnesses = witnesses
        self._chooser, self._forecasts = chooser, forecasts
        self._feed = feed
        self._control = control
        self._clock = clock or SystemClock()

    async def examine(self) -> list[Check]:
        """All checks, those of the control plane first. Unavailable when the directory is away."""
        registered = [cell for cell in await self._directory.cells() if cell.state != "retired"]
        end = asyncio.get_running_loop().time() + ALL_SECONDS
        slots = asyncio.Semaphore(CELLS_AT_ONCE)
        found = await asyncio.gather(
            _by("directory redis keeps everything", cache.policy(self._feed)),
            _by("changes reach the cache", cache.contents(self._directory, self._feed)),
            _by("decisions are carried out", fleet.decisions(self._directory, self._clock)),
            _by("there is room for tenants", fleet.room(self._directory, self._chooser)),
            _by(fleet.FILLING, fleet.filling(self._forecasts)),
            _by(leaders.NAME, leaders.led(*self._led)),
            _by(seen.NAME, seen.well(self._directory, self._witnesses)),
            *(self._cell(cell, slots, end) for cell in registered),
        )
        return [check for checks in found for check in checks]

    async def _cell(self, cell: Cell, slots: asyncio.Semaphore, end: float) -> Sequence[Check]:
        name = f"{cell.cell_id} answers"
        async with slots:
            left_seconds = end - asyncio.get_running_loop().time()
            return await _by(name, cells.examine(self._directory, self._control, cell), left_seconds)


async def _by(name: str, asked: Awaitable[Sequence[Check]], seconds: float = CHECK_SECONDS) -> Sequence[Check]:
    """The answer, or the one check that it could not be had in time."""
    try:
        async with asyncio.timeout(min(seconds, CHECK_SECONDS)):
            return await asked
    except TimeoutError:
        return [
            Check(name=name, ok=False, detail="no answer in time", remedy="ask again; see the logs if it stays")
        ]
    except DirectoryError as error:
        return [Check(name=name, ok=False, detail=str(error), remedy="bring it back; placement goes on by itself")]
