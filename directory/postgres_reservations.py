"""Room in cells, kept in the control database. Every write is one transaction.

In which order cells, rooms and reservations are locked is said in `transactions`.
"""

import secrets
from collections.abc import Callable, Sequence

import asyncpg

from directory import transactions
from directory.errors import CellFull, TooMany
from directory.reservations import (
    Booking,
    Homes,
    Inhabitants,
    NewReservation,
    Passage,
    Reservation,
    Room,
    Tally,
)
from directory.rules import reservations as rules
from directory.transactions import SQL, Transactions, fields_of, found, repeated, take_room
from runtime import database
from runtime.database import Pool

TALLY_SECONDS = 60.0
"""For a look at all tenants."""
AT_ONCE = 10_000
"""Tenants read at once: for as long as that takes nothing else happens in this process."""


class PostgresReservations:
    """`Reservations` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transactions = Transactions(pool)

    async def rooms(self) -> Sequence[Room]:
        return [_room(row) for row in await self._transactions.rows("list_rooms")]

    async def tally(self, each: Callable[[Homes], None] | None = None) -> Tally:
        with transactions.border():
            async with database.transaction(
                self._pool, seconds=TALLY_SECONDS, isolation="repeatable_read", readonly=True
            ) as connection:
                placed = await connection.fetch(SQL["list_placed"])
                inhabitants = await connection.fetch(SQL["count_inhabitants"])
                passages = await connection.fetch(SQL["list_passages"])
                if each is not None:
                    cursor = await connection.cursor(SQL["list_homes"])
                    while rows := await cursor.fetch(AT_ONCE):
                        each(Homes(*map(list, zip(*(row.values() for row in rows), strict=True))))
        return Tally(
            {row["cell_id"]: tuple(row["placed"]) for row in placed},
            [Inhabitants(*row.values()) for row in inhabitants],
            [Passage(*row.values()) for row in passages],
        )

    @repeated
    async def reserve(self, new: NewReservation, booking: Booking) -> Reservation:
        rules.check_seconds(new.seconds)
        rules.check_takes(booking.takes)
        async with self._transactions.begun() as connection:
            if await connection.fetchval(SQL["lock_room"], new.cell_id) is None:
                raise CellFull(f"cell {new.cell_id} is full, or not open, or not registered")
            await take_room(connection, new.cell_id, booking, placed=False)
            milliseconds = await connection.fetchval(SQL["get_milliseconds"])
            row = await connection.fetchrow(
                SQL["insert_reservation"],
                rules.reservation_id(milliseconds, secrets.randbits(50)),
                *(new.cell_id, list(booking.takes), new.plan, new.region, list(new.tags), new.dedicated_to),
                *(rules.MOST, float(new.seconds)),
            )
            if row is None:
                raise TooMany(f"there are {rules.MOST} reservations: cancel some, or wait for their end")
            return _reservation(row)

    async def reservation(self, reservation_id: str) -> Reservation:
        row = await self._transactions.row("get_reservation", reservation_id)
        return _reservation(found(row, "reservation", reservation_id))

    async def reservations(self, after: str = "", limit: int = 100) -> Sequence[Reservation]:
        return [_reservation(row) for row in await self._transactions.rows("list_reservations", after, limit)]

    @repeated
    async def cancel(self, reservation_id: str) -> None:
        async with self._transactions.begun() as connection:
            row = await connection.fetchrow(SQL["delete_reservation"], reservation_id)
            found(row, "reservation", reservation_id)

    @repeated
    async def forget_expired(self, most: int) -> int:
        async with self._transactions.begun() as connection:
            return int((await connection.execute(SQL["forget_reservations"], most)).split()[-1])


def _room(row: asyncpg.Record) -> Room:
    promised, placed, reserved = (tuple(row[name] or rules.NOTHING) for name in ("promised", "placed", "reserved"))
    return Room(transactions.cell(row), row["offer"], promised, placed, reserved)


def _reservation(row: asyncpg.Record) -> Reservation:
    return Reservation(**{**fields_of(Reservation, row), "takes": tuple(row["takes"]), "tags": tuple(row["tags"])})
