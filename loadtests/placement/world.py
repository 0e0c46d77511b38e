"""A week of load, and what placement knows of it: as it measures, smooths and learns it, without a database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from directory import loads as kept
from directory.loads import MEASURED, SMOOTHED_SECONDS, Ended
from directory.rules.periods import period_of
from placement.balancing.demand import HOURS, Measured
from placement.balancing.fleet import Fleet
from placement.balancing.resources import RESOURCES, Flags, Floats, Integers
from placement.demands import Demand, Loads, expected
from placement.rules.measuring import usual

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Midnight, when the week begins."""
EXPLODES_AT, EXPLODES_FOR, EXPLODES_BY, EXPLODES_TO = 54.0, 2.0, 60.0, 0.25
"""Hours into the week, over how many, to how many times its load, and to which share of a cell."""
BUSY = 0.6
"""Of what the fleet's tenants take on average: at noon it is 1.6 times as much."""
GROWTH = 0.10
"""In the week, on average; tenants differ by as much."""
WAVERS = 0.10
"""From one quarter of an hour to the next."""
COUNTED = np.array([MEASURED.index(name) for name in ("cpu", "network")])
"""What cells count; the rest they look up."""


@dataclass
class World:
    """What really happens; placement only measures it."""

    fleet: Fleet
    eventful: bool
    rng: np.random.Generator
    east: Integers = field(init=False)
    growth: Floats = field(init=False)
    exploding: int = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.fleet.tenants)
        self.east = self.rng.integers(0, 2, count)
        self.growth = self.rng.normal(GROWTH, GROWTH, count) if self.eventful else np.zeros(count)
        share = (self.fleet.demand / self.fleet.capacity[0])[:, COUNTED].max(axis=1)
        self.exploding = int(np.argmin(np.abs(share - EXPLODES_TO / EXPLODES_BY)))

    def load(self, hour: float) -> Floats:
        """tenants × MEASURED at this hour; the week before has negative ones. Each call wavers anew."""
        local = hour + 8.0 * self.east
        daily = 1.0 + 0.6 * np.sin((local % 24 - 9.0) / 24 * 2 * np.pi)
        curve = daily * np.where(local % HOURS >= 120, 0.6, 1.0)
        found = self.fleet.demand[:, : len(MEASURED)].copy()
        busy = curve[:, None] * self.rng.lognormal(0.0, WAVERS, (len(found), len(COUNTED)))
        found[:, COUNTED] *= busy * BUSY
        found[:, MEASURED.index("memory")] *= 0.9
        found *= (1.0 + self.growth * max(0.0, hour) / HOURS)[:, None]
        if self.eventful and hour >= EXPLODES_AT:
            more = min(1.0, (hour - EXPLODES_AT) / EXPLODES_FOR) * (EXPLODES_BY - 1.0)
            found[self.exploding, COUNTED] *= 1.0 + more
        return found


class Learning:
    """What `directory.loads` keeps of all tenants, as arrays; and what `placement.demands` makes of it."""

    def __init__(self, tenants: Sequence[str], sizes: Floats) -> None:
        """`tenants` in the order of their names; `sizes`: bytes that a move of each carries."""
        count = len(tenants)
        weeks = kept.nothing_usual(count)
        self.tenants, self.sizes = tenants, sizes
        self.usual = Measured(weeks, np.zeros_like(weeks))
        self.recent = np.full((count, len(RESOURCES)), np.nan)
        self._period = np.zeros(count, dtype=np.int64)
        self._seconds = np.zeros(count)
        self._sums, self._squares = np.zeros((2, count, len(COUNTED)))

    def measure(self, taken: Floats, seconds: float, at: datetime, asked: Flags) -> None:
        """A round: what has ended is learnt, then what tenants (of cells that are `asked`) took is counted."""
        period = period_of(at)
        self._learn(period)
        rows = np.flatnonzero(asked)
        rates = taken[rows][:, COUNTED]
        known = self.recent[np.ix_(rows, COUNTED)]
        weight = 1 - np.exp(-seconds / SMOOTHED_SECONDS)
        self.recent[rows, : len(MEASURED)] = taken[rows]
        self.recent[np.ix_(rows, COUNTED)] = np.where(np.isnan(known), rates, known + weight * (rates - known))
        self._period[rows] = period
        self._seconds[rows] += seconds
        self._sums[rows] += seconds * rates
        self._squares[rows] += seconds * rates**2

    def _learn(self, period: int) -> None:
        rows = np.flatnonzero((self._seconds > 0) & (self._period < period))
        if not len(rows):
            return
        spent = self._seconds[rows, None]
        means = self._sums[rows] / spent
        value, within = self.recent[rows, : len(MEASURED)].copy(), np.zeros((len(rows), len(MEASURED)))
        value[:, COUNTED] = means
        within[:, COUNTED] = np.maximum(0.0, self._squares[rows] / spent - means**2)
        self.usual.mean[rows], self.usual.variance[rows] = usual(
            Ended(
                [self.tenants[row] for row in rows.tolist()],
                *(self._period[rows].tolist(), spent[:, 0].tolist(), value, within),
                *(self.usual.mean[rows], self.usual.variance[rows]),
            )
        )
        for each in (self._seconds, self._sums, self._squares):
            each[rows] = 0.0

    async def demand(self, tenants: Sequence[str], plans: Sequence[str], now: datetime) -> Demand:
        """As `placement.demands.Demands`."""
        loads = Loads(self.tenants, self.usual, self.recent, self.sizes, now)
        return Demand(expected(loads, tenants, plans, now), loads.carried(tenants), loads.known(tenants))
