"""Writes down what the pools use, and foretells when they will be full.

The leader writes, with its term, once an hour; the last word of a day is kept as that day's. Every placement tells
what follows from it, with the cells as they are now: a cell that was just opened counts at once.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Protocol

from directory.errors import NotLeader
from directory.leading import Candidate
from directory.moves import Moves
from directory.reservations import Reservations
from directory.truth import Directory
from directory.uses import DayUse, Uses
from directory.values import Cell, Term
from placement import metrics
from placement.balancing.forecasting import WINDOW_DAYS
from placement.gathering import Reckons, gather
from placement.rules.filling import Foretold, Loads, by_cell, foretell, pools, told
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.forecasts")

ROUND_SECONDS = 1.0
"""Between two looks whether this placement leads, and whether a fleet that was empty still is."""
RECORD_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
"""After a try in which the whole fleet was gathered in vain."""
SHOW_SECONDS = 300.0
"""Between two updates of the metrics page."""
BELIEVED_SECONDS = 1.0
"""A forecast that was just made serves everybody who asks meanwhile."""
MOST_SHOWN = 200
"""Pools and resources on the metrics page, the most urgent ones."""
UNKNOWN = ("too_little_known", "no_limit")


class CellLoads(Protocol):
    """What the tenants of each cell are expected to take."""

    async def by_cell(self) -> Loads:
        """By cell and resource. Unavailable."""


class GatheredLoads:
    """`CellLoads` from the fleet as plans are made for it: tenants that move are where they go."""

    def __init__(
        self,
        directory: Directory,
        reservations: Reservations,
        moves: Moves,
        demands: Reckons,
        clock: Clock | None = None,
    ) -> None:
        self._directory, self._reservations, self._moves = directory, reservations, moves
        self._demands = demands
        self._clock = clock or SystemClock()

    async def by_cell(self) -> Loads:
        fleet = await gather(*(self._directory, self._reservations, self._moves, self._demands, self._clock.now()))
        return await asyncio.to_thread(by_cell, fleet)


@dataclass(frozen=True, slots=True)
class Outlooks:
    """Of all pools and resources, the most urgent first, as of a day (UTC)."""

    day: date
    lead_days: int
    pools: Sequence[Foretold]


class Forecasts:
    """`runtime.tasks` calls `step` again and again; `look` answers whoever asks."""

    def __init__(
        self,
        directory: Directory,
        uses: Uses,
        candidate: Candidate,
        lead_days: int,
        loads: CellLoads | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._directory, self._uses, self._candidate = directory, uses, candidate
        self._lead_days = lead_days
        self._loads = loads
        self._clock = clock or SystemClock()
        self._recorded: tuple[Term, float] | None = None
        self._again_at = -math.inf
        self._shown_at = -math.inf
        self._latest: tuple[float, Outlooks] | None = None
        self._looking = asyncio.Lock()

    async def step(self) -> None:
        """Write, if it is time and this placement leads; show what is to be expected; rest. Unavailable."""
        term, now = self._candidate.term, self._clock.monotonic()
        if term is not None and self._is_due(term, now) and await self._record_in(term):
            self._recorded, self._shown_at = (term, now), -math.inf
        if now >= self._shown_at + SHOW_SECONDS:
            show(await self.look())
            self._shown_at = now
        await self._clock.sleep(ROUND_SECONDS)

    async def record(self, term: Term) -> bool:
        """What all pools use now; False when there is none. NotLeader; Unavailable."""
        cells = await self._directory.cells()
        if not any(pools(cells, {})):
            return False  # of these nobody's load counts, and to gather it is much work
        loads = {} if self._loads is None else await self._loads.by_cell()
        found = pools(cells, loads)
        uses = [told(pool, pool.used) for pool in found if pool.used is not None]
        if uses:
            await self._uses.record(uses, term)
            self._latest = None
        return bool(uses)

    async def look(self) -> Outlooks:
        """What is to be expected, at most some seconds old. Unavailable."""
        async with self._looking:
            now = self._clock.monotonic()
            if self._latest is None or now >= self._latest[0] + BELIEVED_SECONDS:
                self._latest = now, await self._foretold()
            return self._latest[1]

    def _is_due(self, term: Term, now: float) -> bool:
        if now < self._again_at:
            return False
        return self._recorded is None or self._recorded[0] != term or now >= self._recorded[1] + RECORD_SECONDS

    async def _record_in(self, term: Term) -> bool:
        try:
            return await self.record(term)
        except NotLeader as error:
            log.info("use_not_recorded", reason=str(error))
            return True  # whoever leads does it
        except Exception:
            self._again_at = self._clock.monotonic() + AGAIN_SECONDS
            raise

    async def _foretold(self) -> Outlooks:
        day, kept = await self._uses.today(), await self._uses.latest(WINDOW_DAYS)
        cells = await self._directory.cells()
        # A few milliseconds for each pool: others are served meanwhile.
        found = await asyncio.to_thread(_foretell_all, cells, kept, day, self._lead_days)
        return Outlooks(day, self._lead_days, found)


def show(found: Outlooks) -> None:
    """On the metrics page. What is not known is not there."""
    metrics.DAYS_UNTIL_FULL.clear()
    metrics.USED_SHARE.clear()
    today = found.day.toordinal()
    for one in [one for one in found.pools if one.forecast.outlook not in UNKNOWN][:MOST_SHOWN]:
        of = one.pool.region, one.pool.resource
        metrics.USED_SHARE.labels(*of).set(one.share)
        days = {"earliest": one.forecast.earliest, "likely": one.forecast.likely, "latest": one.forecast.latest}
        for estimate, day in days.items():
            metrics.DAYS_UNTIL_FULL.labels(*of, estimate).set(math.inf if day is None else day - today)


def _foretell_all(cells: Sequence[Cell], kept: Sequence[DayUse], day: date, lead_days: int) -> Sequence[Foretold]:
    history = {key: list(days) for key, days in groupby(kept, _key)}
    found = [
        foretell(pool, history.get((pool.region, pool.resource), ()), day.toordinal(), lead_days)
        for pool in pools(cells, {}, history)
    ]
    return sorted(found, key=lambda one: one.urgency)


def _key(one: DayUse) -> tuple[str, str]:
    return one.use.region, one.use.resource
