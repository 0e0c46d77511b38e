"""Where a value stands between the ends of an axis, and which values to write beside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

DECADES = 2.0
"""What spans more of them is drawn logarithmically."""
ROUND = (1.0, 2.0, 5.0)
ENDS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Round enough to end an axis."""
LEAST = 1e-6
"""Below it nothing is told apart on a logarithmic axis."""
TIMES = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds that people like to count in."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` to `high`; what lies outside is drawn at the edge."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        if self.logarithmic:
            above, whole = math.log(max(value, LEAST) / self.low), math.log(self.high / self.low)
        else:
            above, whole = value - self.low, self.high - self.low
        return min(1.0, max(0.0, above / whole))

    def ticks(self, most: int = 4) -> list[float]:
        """Round values on it, hardly more than `most`: decades, or multiples of 1, 2 or 5."""
        if self.logarithmic:
            first, last = math.ceil(_decade(self.low)), math.floor(_decade(self.high))
            stride = max(1, math.ceil((last - first + 1) / (most + 1)))
            return [10.0**power for power in range(first, last + 1, stride)]
        step = _rounded_up((self.high - self.low) / most)
        return [self.low + step * number for number in range(int((self.high - self.low) / step + 1e-9) + 1)]


def fitting(values: Iterable[float]) -> Scale:
    """Logarithmic when they span more than two decades, else from 0; gaps (NaN) do not count."""
    known = [value for value in values if math.isfinite(value)]
    above = [value for value in known if value > 0.0]
    if not above:
        return Scale(0.0, 1.0)
    if _decade(max(above)) - _decade(min(above)) > DECADES:
        return Scale(_rounded_down(max(min(above), LEAST)), _rounded_up(max(above)), logarithmic=True)
    return Scale(0.0, _rounded_up(max(above), ENDS))


def times(end: float, most: int = 6) -> list[int]:
    """Seconds to write at an axis of time that begins at 0."""
    step = next((each for each in TIMES if end / each <= most), None)
    step = step or math.ceil(end / most / TIMES[-1]) * TIMES[-1]
    return list(range(0, int(end) + 1, step))


def _rounded_up(value: float, round_: tuple[float, ...] = ROUND) -> float:
    unit = 10.0 ** math.floor(_decade(value))
    return next(each * unit for each in (*round_, 10.0, 20.0) if each * unit >= value * (1 - 1e-9))


def _rounded_down(value: float) -> float:
    unit = 10.0 ** math.floor(_decade(value))
    return next((each * unit for each in reversed(ROUND) if each * unit <= value * (1 + 1e-9)), unit)


def _decade(value: float) -> float:
    return math.log10(value)
