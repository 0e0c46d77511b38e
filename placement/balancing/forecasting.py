"""When a pool will be full of something, from what it used on each of the last days. Days are ordinals.

The trend is the median of the slopes between all pairs of days (Theil 1950, "A rank-invariant method of linear and
polynomial regression analysis"; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"): up to
29 % of the days may be anything at all without moving it far. Once there are weeks enough, only days of the same
weekday are paired (Hirsch, Slack and Smith 1982, "Techniques of trend analysis for monthly water quality data"),
so that a weekend is no decline. Sen's interval for the slope is widened for days that follow each other (Hamed and
Rao 1998, "A modified Mann-Kendall trend test for autocorrelated data"); together with the spread around the trend
it says how early and how late it could be.

Use that comes or goes because a cell came into the pool or left it is no growth: such steps are taken out.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from placement.balancing.resources import Flags, Floats, Integers

Outlook = Literal["full", "filling", "not_within_a_year", "falling", "too_little_known", "no_limit"]

WINDOW_DAYS = 56
"""Eight weeks: what was before says little about the present."""
LEAST_DAYS = 7
"""With fewer nothing is foretold."""
SEASONAL_WEEKS = 4
"""From so many weeks on, weekdays are told apart."""
HORIZON_DAYS = 365
MOST_CELLS = 1e9
"""No fleet has more of them."""
QUARTER_DAYS = 91
WEEK = 7
Z = 1.645
"""Of a normal distribution 90 % is within so many deviations."""
TAIL = 0.05
"""Of the spread around the trend so much is left out at either end."""
WIDENS_DAYS = 28
"""After so long the spread is √2 times as wide."""
STEP = 5.0
"""So many times the usual deviation from the usual change of a day is a step, on a day when cells changed."""
MOST_ALIKE = 0.97
"""Correlation of a day with the next one; more cannot be told from a few weeks."""
UNSEEN_DAYS = 12
"""A line through few days hides some of that correlation: about so many days' share of it, when chance adds up."""
MAD = 1.4826
"""Makes the median of absolute deviations comparable to a standard deviation."""


@dataclass(frozen=True, eq=False)
class Use:
    """What a pool used of one resource: a row for each day, the oldest first, with the number of its cells."""

    days: Integers
    used: Floats
    cells: Integers


@dataclass(frozen=True, eq=False)
class Room:
    """What a pool may hold: `sizes` is what each of its cells holds of it; inf: as much as comes.

    `spared`: so much stays free that the pool can lose its largest cell.
    """

    sizes: Floats
    spared: bool

    @property
    def limit(self) -> float:
        """As `balancing.fleet.limits`, added up."""
        return self.limit_with(0)

    def limit_with(self, more: int) -> float:
        """With so many more cells of the median size."""
        sizes = np.concatenate([self.sizes, np.full(more, self.median)])
        total = float(sizes.sum())
        if not self.spared or len(sizes) < 2 or not math.isfinite(total):
            return total
        return total - float(sizes.max())

    @property
    def median(self) -> float:
        """Size of a cell as they are in this pool; 0 when there is none."""
        return float(np.median(self.sizes)) if len(self.sizes) else 0.0


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through the last weeks, around which use goes up and down by the day of the week.

    `level` is where it is on day `last`. The slopes are a day's; `slowest` ≤ `slope` ≤ `fastest`. Use lies between
    `below` (≤ 0) and `above` (≥ 0) of the line.
    """

    last: int
    level: float
    slope: float
    slowest: float
    fastest: float
    below: float
    above: float
    by_weekday: tuple[float, ...]

    def expected(self, ahead: Floats) -> Floats:
        """Use so many days after `last`."""
        return self.level + self.slope * ahead + self._season(ahead)

    def at_most(self, ahead: Floats) -> Floats:
        """If it grows as fast as it may."""
        return self.level + self.above * _wider(ahead) + self.fastest * ahead + self._season(ahead)

    def at_least(self, ahead: Floats) -> Floats:
        """If it grows as slowly as it may."""
        return self.level + self.below * _wider(ahead) + self.slowest * ahead + self._season(ahead)

    def _season(self, ahead: Floats) -> Floats:
        found: Floats = np.array(self.by_weekday)[(self.last + ahead.astype(np.int64)) % WEEK]
        return found


@dataclass(frozen=True, slots=True)
class Forecast:
    """When use reaches the limit, and what to do by when.

    Of the days None says: not within a year. `open_by` is the last day to begin to open a cell, never before
    `today`. `cells_needed`: so many more cells of the pool's median size until a quarter from now; None: no number
    of them helps, or nobody can say.
    """

    outlook: Outlook
    used: float
    limit: float
    per_week: float | None
    earliest: int | None
    likely: int | None
    latest: int | None
    open_by: int | None
    cells_needed: int | None
    days_known: int


def forecast(use: Use, room: Room, today: int, lead_days: int) -> Forecast:
    """What is to be expected as of `today`, if opening a cell takes `lead_days`."""
    use = _known(use)
    known = trend(use, today)
    used = float(use.used[-1]) if len(use.days) else 0.0
    limit = room.limit
    per_week = None if known is None else known.slope * WEEK
    if not math.isfinite(limit):
        return Forecast("no_limit", used, limit, per_week, None, None, None, None, 0, len(use.days))
    if used >= limit:
        needed = _needed(room, used if known is None else max(used, _peak(known, today)), least=1)
        return Forecast("full", used, limit, per_week, today, today, today, today, needed, len(use.days))
    if known is None:
        return Forecast("too_little_known", used, limit, None, None, None, None, None, None, len(use.days))
    ahead = np.arange(1.0, HORIZON_DAYS + 1) + (today - known.last)
    earliest, likely, latest = (
        _first(line >= limit, today)
        for line in (known.at_most(ahead), known.expected(ahead), known.at_least(ahead))
    )
    return Forecast(
        outlook="filling" if likely is not None else "falling" if known.slope < 0 else "not_within_a_year",
        used=used,
        limit=limit,
        per_week=per_week,
        earliest=earliest,
        likely=likely,
        latest=latest,
        open_by=None if likely is None else max(today, likely - lead_days),
        cells_needed=_needed(room, _peak(known, today)),
        days_known=len(use.days),
    )


def trend(use: Use, today: int) -> Trend | None:
    """Of the last weeks before `today`; None while too little is known."""
    use = _known(use)
    recent = use.days > today - WINDOW_DAYS
    days, cells = use.days[recent], use.cells[recent]
    if len(days) < LEAST_DAYS:
        return None
    used = _without_steps(days, use.used[recent], cells)
    first, second = np.triu_indices(len(days), 1)
    seasonal = int(days[-1] - days[0]) >= SEASONAL_WEEKS * WEEK - 1 and _all_weekdays(days)
    if seasonal:
        alike = (days[second] - days[first]) % WEEK == 0
        first, second = first[alike], second[alike]
    slopes = np.sort((used[second] - used[first]) / (days[second] - days[first]))
    slope = float(np.median(slopes))
    last = int(days[-1])
    around = used - slope * (days - last)
    by_weekday = _weekdays(around, days) if seasonal else np.zeros(WEEK)
    around = around - by_weekday[days % WEEK]
    spread = around - np.median(around)
    slowest, fastest = _interval(slopes, days, spread, seasonal=seasonal)
    return Trend(
        last=last,
        # Of the last week alone: whoever came for good is there, whatever was before.
        level=float(np.median(around[-WEEK:])),
        slope=slope,
        slowest=min(slowest, slope),
        fastest=max(fastest, slope),
        below=min(0.0, float(np.quantile(spread, TAIL))),
        above=max(0.0, float(np.quantile(spread, 1 - TAIL))),
        by_weekday=tuple(by_weekday.tolist()),
    )


def _wider(ahead: Floats) -> Floats:
    """How many times wider the spread has become by then: chance that adds up does so by the root of time."""
    found: Floats = np.sqrt(1.0 + np.maximum(ahead, 0.0) / WIDENS_DAYS)
    return found


def _known(use: Use) -> Use:
    """Without days of which nothing sensible is known."""
    sound = np.isfinite(use.used) & (use.used >= 0)
    return use if sound.all() else Use(use.days[sound], use.used[sound], use.cells[sound])


def _without_steps(days: Integers, used: Floats, cells: Integers) -> Floats:
    """As if the pool had had its present cells all the time.

    What has changed far more than usual on a day when the cells have, is taken for as much as usual.
    """
    apart = np.diff(days)
    changes = np.diff(used) / apart
    usual = np.median(changes)
    off = np.abs(changes - usual)
    steps = (np.diff(cells) != 0) & (off > STEP * MAD * np.median(off))
    jumps = np.where(steps, (changes - usual) * apart, 0.0)
    found: Floats = used + np.append(np.cumsum(jumps[::-1])[::-1], 0.0)
    return found


def _all_weekdays(days: Integers) -> bool:
    """Each was seen so often that its own usual can be told."""
    return bool((np.bincount(days % WEEK, minlength=WEEK) >= SEASONAL_WEEKS - 1).all())


def _weekdays(around: Floats, days: Integers) -> Floats:
    """How far each weekday is from the usual one."""
    medians = np.array([np.median(around[days % WEEK == weekday]) for weekday in range(WEEK)])
    found: Floats = medians - np.median(medians)
    return found


def _interval(slopes: Floats, days: Integers, spread: Floats, *, seasonal: bool) -> tuple[float, float]:
    """Sen's, by ranks of the slopes."""
    counts = np.bincount(days % WEEK, minlength=WEEK).astype(float) if seasonal else np.array([len(days)], float)
    variance = float((counts * (counts - 1) * (2 * counts + 5)).sum()) / 18.0
    alike = _alike(spread)
    half = Z * math.sqrt(variance * (1 + alike) / (1 - alike)) / 2
    middle, most = (len(slopes) - 1) / 2, len(slopes) - 1
    low, high = max(0, math.floor(middle - half)), min(most, math.ceil(middle + half))
    return float(slopes[low]), float(slopes[high])


def _alike(spread: Floats) -> float:
    """Correlation of a day with the next one, from 0 on; few days show less of it than there is."""
    total = float((spread**2).sum())
    if total <= 0:
        return 0.0
    found = float((spread[1:] * spread[:-1]).sum()) / total
    return min(MOST_ALIKE, max(0.0, found * (1 + UNSEEN_DAYS / len(spread))))


def _first(reached: Flags, today: int) -> int | None:
    return today + 1 + int(reached.argmax()) if reached.any() else None


def _peak(known: Trend, today: int) -> float:
    """The most that is expected until a quarter from now."""
    return float(known.expected(np.arange(0.0, QUARTER_DAYS + 1) + (today - known.last)).max())


def _needed(room: Room, used: float, least: int = 0) -> int | None:
    """How many more cells of the median size hold so much."""
    if used <= room.limit and not least:
        return 0
    if room.median <= 0:
        return None
    # The first of them may make a pool out of a single cell, and add nothing to what is not kept free.
    missing = float(used - room.limit_with(1))
    # Of cells that hold next to nothing no number is enough.
    return max(1, math.ceil(missing / float(room.median)) + 1) if missing < MOST_CELLS * room.median else None
