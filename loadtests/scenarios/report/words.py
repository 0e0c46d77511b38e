"""Figures, times and goals as people say them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from loadtests.scenarios.report.run import Goal

SENSES = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "==": "exactly"}
NONE = "–"
HOW = (
    "Latency is counted from the moment at which a request was due, not from when it was sent: what had to wait "
    "for others was as slow as that for whoever wanted it. "
    "Failed is what a client saw fail; it counts with the time that it took to fail, so a cell whose requests are "
    "refused at once looks quick. A gap is time in which nobody asked anything."
)
"""How figures and pictures are meant."""
DIGITS = 3
UNCOUNTED = {"ms", "s", "times"}
"""Units that are the same of one."""
MOST_DIGITS = 12
"""More than that and two figures that differ are not told apart by a person either."""


def figure(value: float | None, digits: int = DIGITS) -> str:
    """With so many digits that count, whole numbers whole, thousands apart."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) or abs(value) >= 10.0**digits:
        return f"{value:,.0f}".replace("-", "−")
    after = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    told = f"{value:,.{after}f}".replace("-", "−")
    return told.rstrip("0").rstrip(".") if after else told


def measured(goal: Goal) -> str:
    """What was found."""
    return "not measured" if goal.figure is None else _with(_apart(goal)[0], goal.unit)


def asked(goal: Goal) -> str:
    """What was wanted."""
    return f"{SENSES.get(goal.sense, goal.sense)} {_with(_apart(goal)[1], goal.unit)}"


def milliseconds(value: float | None) -> str:
    """In the unit that suits it."""
    if value is None or math.isnan(value):
        return NONE
    if value < 1000.0:
        return f"{figure(value, 2 if value < 100.0 else DIGITS)} ms"
    return f"{figure(value / 1000.0)} s"


def seconds(value: float) -> str:
    """How long."""
    if value < 120.0:
        return f"{figure(round(value, 1))} s"
    if value < 7200.0:
        return f"{figure(round(value / 60.0, 1))} min"
    return f"{figure(round(value / 3600.0, 1))} h"


def clock(at: float, end: float) -> str:
    """A moment of something that lasted until `end`, all of them in one unit."""
    if end <= 180.0:
        return f"{figure(round(at, 1))} s"
    if end <= 10800.0:
        return f"{figure(round(at / 60.0, 2))} min"
    return f"{figure(round(at / 3600.0, 2))} h"


def between(begin: float, until: float, end: float) -> str:
    """From when to when."""
    first, last = clock(begin, end), clock(until, end)
    if first == last:
        return f"at {first}"
    return f"{first.rpartition(' ')[0]}–{last}"


def moment(when: datetime) -> str:
    """Day and time, in UTC."""
    there = when.astimezone(UTC) if when.tzinfo else when
    return f"{there.day} {there:%B %Y, %H:%M} UTC"


def count(number: float, what: str) -> str:
    """So many; what takes an s when they are several."""
    return f"{figure(number)} {what}{'' if number == 1 else 's'}"


def machine(told: Mapping[str, object]) -> str:
    """Where it ran, in a few words."""
    cores = told.get("cores")
    parts = [f"{cores} cores" if cores else None, told.get("processor"), told.get("kernel")]
    return ", ".join(str(part) for part in parts if part)


def _with(value: str, unit: str) -> str:
    if value == "1" and unit.endswith("s") and unit not in UNCOUNTED:
        unit = unit.removesuffix("s")
    return f"{value}\N{NO-BREAK SPACE}{unit}" if unit else value


def _apart(goal: Goal) -> tuple[str, str]:
    """Figure and bound, with as many digits as it takes to see that they differ."""
    for digits in range(DIGITS, MOST_DIGITS):
        found, bound = figure(goal.figure, digits), figure(goal.bound, digits)
        if found != bound or goal.figure == goal.bound:
            break
    return found, bound
