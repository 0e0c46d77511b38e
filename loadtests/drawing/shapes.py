"""Values over time as the data of SVG paths. A value that is not known (NaN) is a gap, never a nought."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from loadtests.drawing.scales import Scale

DOT = 0.01
"""A line as short as this is a dot, where lines have round ends: a value alone between two gaps."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of a drawing: time runs across it from 0 to `end`, values stand on it by `scale`."""

    left: float
    top: float
    width: float
    height: float
    end: float
    scale: Scale

    def x(self, at: float) -> float:
        """Across, by time."""
        return round(self.left + self.width * at / self.end, 1)

    def y(self, value: float) -> float:
        """Down from the top, by value."""
        return round(self.top + self.height * (1.0 - self.scale.share(value)), 1)


def pieces(values: Sequence[float]) -> list[list[int]]:
    """Places of values, in stretches without a gap."""
    known = [place for place, value in enumerate(values) if math.isfinite(value)]
    return [[place for _, place in run] for _, run in groupby(enumerate(known), lambda pair: pair[1] - pair[0])]


def alone(values: Sequence[float]) -> list[float]:
    """Only those between two gaps, which are easily overlooked."""
    single = {piece[0] for piece in pieces(values) if len(piece) == 1}
    return [value if place in single else math.nan for place, value in enumerate(values)]


def line(frame: Frame, at: Sequence[float], values: Sequence[float]) -> str:
    """From value to value, broken at gaps."""
    parts = []
    for piece in pieces(values):
        points = [f"{frame.x(at[place]):g} {frame.y(values[place]):g}" for place in piece]
        parts.append(f"M{points[0]}" + (f"L{' '.join(points[1:])}" if len(points) > 1 else f"h{DOT}"))
    return "".join(parts)


def area(frame: Frame, at: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> str:
    """Between two lines, where both are known."""
    both = [low if math.isfinite(high) else math.nan for low, high in zip(lower, upper, strict=True)]
    parts = []
    for piece in pieces(both):
        points = [f"{frame.x(at[place]):g} {frame.y(upper[place]):g}" for place in piece]
        points += [f"{frame.x(at[place]):g} {frame.y(lower[place]):g}" for place in reversed(piece)]
        parts.append(f"M{' '.join(points)}z")
    return "".join(parts)


def bars(frame: Frame, begin: Sequence[float], wide: float, values: Sequence[float], least: float = 0.0) -> str:
    """A bar for each value above nought, at least `least` high, so that one in a thousand is seen."""
    ground = frame.top + frame.height
    parts = []
    for start, value in zip(begin, values, strict=True):
        if math.isfinite(value) and value > 0.0:
            left, right = frame.x(start), frame.x(start + wide)
            parts.append(f"M{left:g} {ground:g}V{min(frame.y(value), ground - least):g}H{right:g}V{ground:g}z")
    return "".join(parts)
