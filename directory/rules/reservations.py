"""What can be reserved, for how long, and what a reservation is called. Pure."""

import math
from collections.abc import Sequence

from directory.errors import BadReservation, Stale
from directory.rules.moves import MOVE_ID, move_id

LONGEST_SECONDS = 3600
MOST = 10_000
"""Reservations that are kept; each is a row that every look at the rooms of all cells adds up."""
RESERVATION_ID = MOVE_ID.replace("mv-", "rv-")
TAKEN = ("cpus", "memory_bytes", "storage_bytes", "network_bits", "tenants", "revenue", "top_tier")
"""What a tenant takes of its cell, in this order everywhere."""
NOTHING = (0.0,) * len(TAKEN)


def reservation_id(milliseconds: int, random_bits: int) -> str:
    """As moves are called; so they sort by time."""
    return "rv-" + move_id(milliseconds, random_bits).removeprefix("mv-")


def check_seconds(seconds: float) -> float:
    """The seconds themselves. BadReservation."""
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise BadReservation(f"room is reserved for 1 to {LONGEST_SECONDS} seconds")
    return seconds


def check_takes(takes: Sequence[float]) -> Sequence[float]:
    """The numbers themselves; BadReservation when they cannot be added up."""
    if len(takes) != len(TAKEN) or not all(math.isfinite(each) and each >= 0 for each in takes):
        raise BadReservation(f"what is taken are {len(TAKEN)} numbers, none of them negative")
    return takes


def passes(promised: Sequence[float], takes: Sequence[float], most: Sequence[float]) -> bool:
    """Whether so much more may be promised. What is not taken may be promised beyond all measure."""
    return all(
        not taken or before + taken <= limit for before, taken, limit in zip(promised, takes, most, strict=True)
    )


def outdated(cell_id: str) -> str:
    """Why room is not promised, for `Stale`."""
    return f"cell {cell_id} has less room than was seen, or offers something else by now: choose again"


def check_use(
    reservation_id: str, kept_in: str, reserved: Sequence[float], cell_id: str, takes: Sequence[float]
) -> None:
    """Stale when the reservation is for another cell, or for a smaller tenant."""
    if kept_in != cell_id:
        raise Stale(f"reservation {reservation_id} is for cell {kept_in}, not {cell_id}")
    # What was reckoned in another order differs in its last digits.
    more = [
        name
        for name, taken, kept in zip(TAKEN, takes, reserved, strict=True)
        if taken > kept and not math.isclose(taken, kept)
    ]
    if more:
        raise Stale(f"reservation {reservation_id} keeps too little for this tenant: {', '.join(more)}")
