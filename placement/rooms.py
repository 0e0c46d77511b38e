"""A current picture of all cells, kept in the process, and the choice of one of them.

    look (≤ 1 s old) ──▶ choose ──▶ expect ──▶ the directory decides ──▶ arrived
       ▲                                          │ less room than was seen
       └──────────────────────────────────────────┘

Looking reads a row for each cell; all who ask for it at once share one look. What tenants take is counted in the
background, seldom enough to be a small part of the work; what was placed since comes with each look. Nothing here
is needed for correctness: the directory compares each choice with what is so by then.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from directory.errors import Unavailable
from directory.reservations import Booking, Reservations, Takes
from placement import metrics
from placement.balancing.choosing import Choice, Explanation, Nowhere, choose, explain
from placement.balancing.resources import RESOURCES, Floats
from placement.demands import Demands
from placement.reach import Reach
from placement.rules.picturing import Counted, Picture, Wanted, count, picture
from placement.weighing import weigh
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.rooms")

LOOK_SECONDS = 1.0
"""A picture that is older is not chosen from."""
COUNT_SECONDS = 5.0
"""Between two counts of what tenants take, at least."""
COUNT_SHARE = 0.1
"""Of the time at most is spent counting, so in a large fleet it is counted less often."""
FORGET_AT_ONCE = 500
"""Reservations that are over, removed in one transaction."""
FORGET_SECONDS = 5.0
"""Between two looks for such, once all are removed."""


@dataclass(slots=True, eq=False)
class Expected:
    """Somebody who was sent to a cell. `arrived`: the number of the moment since which the directory knows."""

    cell_id: str
    takes: Takes
    arrived: int | None = None


class Rooms:
    """What is known of all cells, and who is on the way to them from here."""

    def __init__(
        self, reservations: Reservations, demands: Demands, reach: Reach, clock: Clock | None = None
    ) -> None:
        self._reservations = reservations
        self._demands = demands
        self._reach = reach
        self._clock = clock or SystemClock()
        self._counted: Counted | None = None
        self._picture: Picture | None = None
        self._looked_at = 0.0
        self._moment = 0
        """Counts up: what happened before and what after, where a clock could say the same twice."""
        self._seen = 0
        """The moment in which the look began that the picture is of."""
        self._due = 0
        """A look that began earlier is not believed."""
        self._looking = asyncio.Lock()
        self._expected: list[Expected] = []
        self._extra: Floats = np.zeros((0, len(RESOURCES)))

    def __repr__(self) -> str:
        known = 0 if self._picture is None else len(self._picture.cells.sites)
        return f"<Rooms {known} cells, {len(self._expected)} expected>"

    # Choosing

    async def choose(self, wanted: Wanted) -> tuple[Choice, Booking] | Nowhere:
        """A cell, and room in it as the directory is asked for it. Unavailable."""
        candidate, seen = wanted.candidate(), await self._current()
        found = choose(seen.expecting(self._extra, self._reach.silent()), candidate)
        if isinstance(found, Nowhere):
            # Nobody is refused because of an old picture, nor because of somebody who may not arrive.
            self.outdate()
            seen = await self._current()
            found = choose(seen.expecting(0.0 * self._extra, self._reach.silent()), candidate)
        return found if isinstance(found, Nowhere) else (found, seen.booking(found.cell_id, wanted.takes()))

    async def explain(self, wanted: Wanted) -> Explanation:
        """What would be chosen just now, and why. Nothing is reserved. Unavailable."""
        self.outdate()
        seen = await self._current()
        return explain(seen.expecting(self._extra, self._reach.silent()), wanted.candidate())

    @contextlib.contextmanager
    def expect(self, cell_id: str, takes: Takes) -> Iterator[Expected]:
        """Count it as taken from now on; unless it has `arrived` by the end, not any longer then."""
        coming = Expected(cell_id, takes)
        self._expected.append(coming)
        self._add(coming)
        try:
            yield coming
        finally:
            if coming.arrived is None:
                self._expected.remove(coming)
                self._add(coming, -1.0)

    def arrived(self, coming: Expected) -> None:
        """The directory has it. Every look that begins from now on shows it."""
        coming.arrived = self._now()

    def outdate(self) -> None:
        """Something is otherwise than in the picture: whoever chooses next looks anew."""
        self._due = self._now()

    # Looking

    async def _current(self) -> Picture:
        if self._clock.monotonic() - self._looked_at > LOOK_SECONDS:
            self.outdate()
        due = self._due
        async with self._looking:
            # While this one waited, somebody may have begun a look that shows all that it must.
            if self._picture is None or self._seen < due:
                await self._look()
            return self._kept()

    async def _look(self) -> None:
        if self._counted is None:
            # Nobody waits for what was measured: until it is counted, plans say what to expect.
            self._counted = count(await self._reservations.tally(), None, {})
        began, at = self._now(), self._clock.monotonic()
        rooms = await self._reservations.rooms()
        self._picture = picture(rooms, self._counted)
        self._seen, self._looked_at = began, at
        self._expected = [each for each in self._expected if each.arrived is None or each.arrived > began]
        self._extra = np.zeros_like(self._picture.cells.load)
        for each in self._expected:
            self._add(each)

    def _kept(self) -> Picture:
        if self._picture is None:
            raise Unavailable("the cells are not known yet")
        return self._picture

    def _add(self, coming: Expected, sign: float = 1.0) -> None:
        names = () if self._picture is None else self._picture.cells.sites.names
        if coming.cell_id in names:
            self._extra[names.index(coming.cell_id)] += sign * np.asarray(coming.takes)

    def _now(self) -> int:
        self._moment += 1
        return self._moment

    # Counting

    async def step(self) -> None:
        """Count what tenants take, and rest until the next time."""
        began = self._clock.monotonic()
        await self.count()
        took = self._clock.monotonic() - began
        metrics.COUNT_SECONDS.set(took)
        await self._clock.sleep(max(COUNT_SECONDS, took / COUNT_SHARE))

    async def count(self) -> None:
        """What the tenants of each cell take, by what was measured. Unavailable."""
        self._counted = await weigh(self._reservations, self._demands, self._clock.now())
        self.outdate()

    async def forget(self) -> None:
        """Remove all reservations that are over, and rest until the next time. Unavailable."""
        while await self._reservations.forget_expired(FORGET_AT_ONCE) >= FORGET_AT_ONCE:
            pass
        await self._clock.sleep(FORGET_SECONDS)
