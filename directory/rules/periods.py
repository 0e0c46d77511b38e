"""The parts of the week by which load is kept: four hours each, counted since 1970. Pure."""

from datetime import UTC, datetime

PERIOD_SECONDS = 4 * 3600
PERIODS_A_WEEK = 42
_MONDAY = 18
"""1970 began on a Thursday, eighteen parts after the Monday before."""


def period_of(moment: datetime) -> int:
    """Which one since 1970, in UTC."""
    return int(moment.timestamp() // PERIOD_SECONDS)


def through(moment: datetime) -> float:
    """Which share of its part of the week is over at that moment: from 0 to 1."""
    return moment.timestamp() % PERIOD_SECONDS / PERIOD_SECONDS


def part_of_week(period: int) -> int:
    """0 is Monday from midnight on, in UTC."""
    return (period + _MONDAY) % PERIODS_A_WEEK


def beginning(period: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(period * PERIOD_SECONDS, UTC)
