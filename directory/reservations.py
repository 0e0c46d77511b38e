"""The seam of room in cells: what was promised, and what is reserved. Whoever implements it keeps these promises:

- whoever takes room says what it saw; when there is less by now, or the cell offers something else, it is `Stale`
- of any number of calls at once no more succeed than there is room for, of every resource
- a reservation counts until its time is over by the store's clock, is used by one tenant at most, and the tenant's
  creation uses it up in one transaction or not at all
- that a reservation is over says something about room alone, never about who owns what
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from directory.values import Cell, MovePhase

Takes: TypeAlias = tuple[float, ...]
"""In the order of `rules.reservations.TAKEN`."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Room as it is asked for. `most`: what may have been promised in the cell then at most, by a look at which it
    offered `offer`."""

    takes: Takes
    most: Takes
    offer: int


@dataclass(frozen=True, slots=True)
class Use:
    """A reservation that a tenant uses up, and what it takes of it."""

    reservation_id: str
    takes: Takes


@dataclass(frozen=True, slots=True)
class Room:
    """A cell as of one moment. `offer` grows with each change of what it offers; `promised` to tenants and to
    reservations, and `placed` for tenants that were created or began to move there, since it is registered;
    `reserved` now."""

    cell: Cell
    offer: int
    promised: Takes
    placed: Takes
    reserved: Takes


@dataclass(frozen=True, slots=True)
class NewReservation:
    """Room as it is reserved: for whom, where, and for how many seconds."""

    cell_id: str
    seconds: float
    plan: str = "standard"
    region: str | None = None
    tags: tuple[str, ...] = ()
    dedicated_to: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that is kept for a tenant until `until`. Once that is over it `holds` no longer and is soon removed."""

    reservation_id: str
    cell_id: str
    takes: Takes
    plan: str
    region: str | None
    tags: tuple[str, ...]
    dedicated_to: str
    until: datetime
    created_at: datetime
    holds: bool


@dataclass(frozen=True, slots=True)
class Inhabitants:
    """How many tenants on one plan live in a cell, and what they pay together."""

    cell_id: str
    plan: str
    tenants: int
    revenue: float


@dataclass(frozen=True, slots=True)
class Homes:
    """Some tenants, and where they live: columns of equal length."""

    tenants: Sequence[str]
    cells: Sequence[str]
    plans: Sequence[str]


@dataclass(frozen=True, slots=True)
class Passage:
    """A move that has not ended, and where its tenant lives."""

    tenant_id: str
    plan: str
    revenue: float
    home: str
    source: str
    destination: str
    phase: MovePhase


@dataclass(frozen=True, slots=True)
class Tally:
    """Who lives and moves where, as of one moment, and what had been `placed` in each cell by then."""

    placed: Mapping[str, Takes]
    inhabitants: Sequence[Inhabitants]
    passages: Sequence[Passage]


class Reservations(Protocol):
    """Room in cells."""

    async def rooms(self) -> Sequence[Room]:
        """Of all cells, in the order of their names, as of one moment."""

    async def tally(self, each: Callable[[Homes], None] | None = None) -> Tally:
        """What takes long to count. `each` gets all tenants, some at a time, as of the same moment."""

    async def reserve(self, new: NewReservation, booking: Booking) -> Reservation:
        """CellFull: it is full or not open; Stale; BadReservation; TooMany."""

    async def reservation(self, reservation_id: str) -> Reservation:
        """NotFound, when it was used, cancelled, or over and removed."""

    async def reservations(self, after: str = "", limit: int = 100) -> Sequence[Reservation]:
        """Those whose id is greater than `after`, in their order, which is that of their time."""

    async def cancel(self, reservation_id: str) -> None:
        """The room is free again. NotFound."""

    async def forget_expired(self, most: int) -> int:
        """Remove reservations that are over, the oldest first and at most so many; how many."""
