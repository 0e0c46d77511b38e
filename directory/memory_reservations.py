"""The twin in memory of room in cells: the same promises and errors, for tests and for trying things out."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from directory.errors import CellFull, NotFound, TooMany
from directory.memory import MemoryDirectory
from directory.reservations import (
    Booking,
    Homes,
    Inhabitants,
    NewReservation,
    Passage,
    Reservation,
    Room,
    Takes,
    Tally,
)
from directory.rules import reservations as rules


class MemoryReservations:
    """`Reservations` of a `MemoryDirectory`. Every method runs without awaiting in between, so each is atomic."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._clock = directory.clock

    async def rooms(self) -> Sequence[Room]:
        now = self._clock.now()
        reserved: dict[str, Takes] = defaultdict(lambda: rules.NOTHING)
        for kept in self._directory.reservations.values():
            if kept.until > now:
                reserved[kept.cell_id] = tuple(map(sum, zip(reserved[kept.cell_id], kept.takes, strict=True)))
        return [
            Room(cell, room.offer, room.promised, room.placed, reserved[name])
            for name, room in sorted(self._directory.rooms.items())
            for cell in [self._directory.get_cell(name)]
        ]

    async def tally(self, each: Callable[[Homes], None] | None = None) -> Tally:
        tenants = [tenant for tenant in self._directory.all_tenants() if tenant.assignment is not None]
        at = [tenant.assignment.cell_id for tenant in tenants if tenant.assignment is not None]
        if each is not None and tenants:
            each(Homes([t.tenant_id for t in tenants], at, [t.plan for t in tenants]))
        sums: dict[tuple[str, str], list[float]] = defaultdict(list)
        for tenant, cell_id in zip(tenants, at, strict=True):
            sums[cell_id, tenant.plan].append(tenant.revenue)
        homes = {tenant.tenant_id: (tenant, cell_id) for tenant, cell_id in zip(tenants, at, strict=True)}
        passages = [
            Passage(tenant.tenant_id, tenant.plan, tenant.revenue, home, move.source, move.destination, move.phase)
            for move in (kept.move for kept in self._directory.moves.values())
            if move.ended_at is None and move.tenant_id in homes
            for tenant, home in [homes[move.tenant_id]]
        ]
        return Tally(
            {name: room.placed for name, room in self._directory.rooms.items()},
            [Inhabitants(cell, plan, len(paid), sum(paid)) for (cell, plan), paid in sums.items()],
            passages,
        )

    async def reserve(self, new: NewReservation, booking: Booking) -> Reservation:
        rules.check_seconds(new.seconds)
        rules.check_takes(booking.takes)
        try:
            cell = self._directory.get_cell(new.cell_id)
        except NotFound:
            cell = None
        if cell is None or cell.state != "open" or not cell.free_tenants:
            raise CellFull(f"cell {new.cell_id} is full, or not open, or not registered")
        now = self._clock.now()
        if sum(kept.until > now for kept in self._directory.reservations.values()) >= rules.MOST:
            raise TooMany(f"there are {rules.MOST} reservations: cancel some, or wait for their end")
        self._directory.take_room(new.cell_id, booking, placed=False)
        name = rules.reservation_id(int(now.timestamp() * 1000), secrets.randbits(50))
        until = now + timedelta(seconds=new.seconds)
        made = Reservation(
            *(name, new.cell_id, booking.takes, new.plan, new.region, new.tags, new.dedicated_to, until, now, True)
        )
        self._directory.reservations[name] = made
        return made

    async def reservation(self, reservation_id: str) -> Reservation:
        return self._directory.get_reservation(reservation_id)

    async def reservations(self, after: str = "", limit: int = 100) -> Sequence[Reservation]:
        names = [name for name in sorted(self._directory.reservations) if name > after]
        return [self._directory.get_reservation(name) for name in names[:limit]]

    async def cancel(self, reservation_id: str) -> None:
        self._directory.get_reservation(reservation_id)
        del self._directory.reservations[reservation_id]

    async def forget_expired(self, most: int) -> int:
        now, kept = self._clock.now(), self._directory.reservations
        over = sorted((each.until, name) for name, each in kept.items() if each.until <= now)[:most]
        for _, name in over:
            del kept[name]
        return len(over)
