"""Asks cells what their tenants take, by the minute, and keeps it in the directory.

Whoever leads does it. That is only to save work: two who measure at once, or one who dies in the middle, count
nothing twice (`directory.loads`). A cell that does not answer, or does not measure, is left out.
"""

import asyncio
from collections.abc import Callable

from directory.control.client import CellControl
from directory.errors import DirectoryError, NotFound
from directory.loads import Loads
from directory.rules.periods import period_of
from directory.truth import Directory
from directory.values import Cell
from placement import metrics
from placement.rules import measuring
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.measuring")
AT_ONCE = 20
"""Cells that are asked at the same time."""
WRITERS = 3
"""Of those, write at the same time: requests need the directory's connections, too."""
CELL_SECONDS = 30.0
"""For all pages of one cell."""
FOLLOW_SECONDS = 5.0
"""Between two looks whether this process leads by now."""
LEAST_REST_SECONDS = 0.1
MOST_PAGES = 1000
MOST_CLOSINGS = 1000
"""Of a few thousand tenants each: rather a part of the week is closed late than a round never ends."""
ASKED = ("open", "cordoned", "draining")


class Measuring:
    """Rounds through all cells, every `seconds`."""

    def __init__(
        self,
        directory: Directory,
        loads: Loads,
        control: CellControl,
        seconds: float,
        leads: Callable[[], bool],
        clock: Clock | None = None,
    ) -> None:
        self._directory, self._loads, self._control = directory, loads, control
        self._seconds, self._leads = seconds, leads
        self._clock = clock or SystemClock()
        self._writers = asyncio.Semaphore(WRITERS)
        self._ended_at: float | None = None
        metrics.LOAD_AGE.set_function(self._age)

    async def step(self) -> None:
        """A round, if this process leads, and the rest until the next."""
        if not self._leads():
            self._ended_at = None  # somebody else's business
            await self._clock.sleep(min(self._seconds, FOLLOW_SECONDS))
            return
        began = self._clock.monotonic()
        await self.round()
        took = self._clock.monotonic() - began
        metrics.LOAD_SECONDS.set(took)
        await self._clock.sleep(max(LEAST_REST_SECONDS, self._seconds - took))

    async def round(self) -> None:
        """Learn the parts of the week that have ended, then ask all cells. Unavailable."""
        await self._learn()
        cells = [cell for cell in await self._directory.cells() if cell.state in ASKED]
        slots = asyncio.Semaphore(AT_ONCE)

        async def in_turn(cell: Cell) -> int:
            async with slots:
                return await self._ask(cell)

        told = await asyncio.gather(*(in_turn(cell) for cell in cells))
        missing = sum(max(0, cell.tenants - known) for cell, known in zip(cells, told, strict=True))
        metrics.LOAD_UNMEASURED.set(missing)
        self._ended_at = self._clock.monotonic()

    async def _learn(self) -> None:
        now = period_of(self._clock.now())
        for _ in range(MOST_CLOSINGS):
            ended = await self._loads.ended(now)
            if not ended.tenants:
                return
            mean, variance = measuring.usual(ended)
            await self._loads.close(ended, mean, variance, now)

    async def _ask(self, cell: Cell) -> int:
        """Of how many tenants it told."""
        known, after = 0, ""
        try:
            async with asyncio.timeout(CELL_SECONDS):
                for _ in range(MOST_PAGES):
                    report = await self._control.load(cell, after)
                    async with self._writers:
                        await self._loads.measure(measuring.reading(cell.cell_id, report), self._clock.now())
                    known += len(report.tenants)
                    if report.next_after is None or report.next_after <= after:
                        break
                    after = report.next_after
        except NotFound:
            return 0  # somebody else's program, or an older one: it does not measure
        except (DirectoryError, TimeoutError) as error:
            log.info("load_not_told", cell=cell.cell_id, reason=str(error) or type(error).__name__)
        except Exception:
            # Whatever is odd about one cell, all others are asked.
            log.exception("load_broke", cell=cell.cell_id)
        return known

    def _age(self) -> float:
        """Seconds since the last whole round; −1 before the first, and while somebody else does it."""
        return -1.0 if self._ended_at is None else self._clock.monotonic() - self._ended_at
