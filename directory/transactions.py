"""Transactions with the control database, and the steps that its writes share: rows, places, the re-assignment.

Whoever locks several things locks them in this order, so that nobody waits in a circle:

    term ─▶ plan ─▶ its move ─▶ tenant ─▶ move ─▶ cells, by name ─▶ rooms ─▶ reservations ─▶ the stream's head

An assignment is locked by whoever has its tenant.
"""

import contextlib
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

import asyncpg

from directory import wire
from directory.errors import CellFull, NotFound, NotLeader, Stale, Unavailable
from directory.reservations import Booking, Takes
from directory.rules import capacities, reservations
from directory.values import (
    Assignment,
    Capacity,
    Caps,
    Cell,
    CellEntry,
    Customer,
    Rate,
    Tenant,
    TenantEntry,
    Term,
)
from runtime import database
from runtime.database import BUSY, UNREACHABLE, Connection, Pool
from runtime.queries import Queries

SQL = Queries("directory")
TRANSACTION_SECONDS = 10.0
"""No call takes longer, whatever the server does."""
CAPACITY, CAPS = tuple(Capacity.__dataclass_fields__), tuple(Caps.__dataclass_fields__)
LATER_LEADER = "CW005"
"""SQLSTATE of `directory.check_term`."""
ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")


def repeated(
    call: Callable[ArgumentsT, Awaitable[ResultT]],
) -> Callable[ArgumentsT, Coroutine[Any, Any, ResultT]]:
    """The whole call again, a few times, when its transaction clashed with another one."""

    @functools.wraps(call)
    async def calling(*args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> ResultT:
        return await database.again(lambda: call(*args, **kwargs))

    return calling


@contextlib.contextmanager
def border() -> Iterator[None]:
    """Where Postgres' errors that are nobody's fault become `Unavailable`."""
    try:
        yield
    except (*UNREACHABLE, *BUSY) as error:
        raise Unavailable(f"the control database cannot do it now: {type(error).__name__}") from error


class Transactions:
    """Transactions on the connections of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextlib.asynccontextmanager
    async def begun(self, term: Term | None = None, **kind: Any) -> AsyncIterator[Connection]:
        """One that commits at the end; `kind` is asyncpg's. Unavailable.

        With a `term`, what happens in it is decided by a leader, and no later one begins before its end.
        NotLeader.
        """
        with border():
            async with database.transaction(self._pool, seconds=TRANSACTION_SECONDS, **kind) as connection:
                if term is not None:
                    await check_term(connection, term)
                yield connection

    @repeated
    async def row(self, query: str, *parameters: Any) -> asyncpg.Record | None:
        """The first row of a query, in a transaction of its own. Unavailable."""
        async with self.begun() as connection:
            return await connection.fetchrow(SQL[query], *parameters)

    @repeated
    async def rows(self, query: str, *parameters: Any) -> list[asyncpg.Record]:
        """All rows of a query, in a transaction of its own. Unavailable."""
        async with self.begun() as connection:
            return await connection.fetch(SQL[query], *parameters)


def found(row: asyncpg.Record | None, what: str, name: str) -> asyncpg.Record:
    """The row itself; NotFound when there is none."""
    if row is None:
        raise NotFound(f"no {what} {name}")
    return row


async def check_term(connection: Connection, term: Term) -> None:
    """First in a leader's transaction. NotLeader."""
    try:
        await connection.execute(SQL["check_term"], term.resource, term.number)
    except asyncpg.PostgresError as error:
        if error.sqlstate != LATER_LEADER:
            raise
        known = getattr(error, "detail", None)
        raise NotLeader(f"term {term.number} of {term.resource} is over: {known} is known") from None


async def lock_tenant(connection: Connection, tenant_id: str) -> asyncpg.Record:
    """Its state and revision, which stay until the transaction ends, and so does its assignment. NotFound."""
    return found(await connection.fetchrow(SQL["lock_tenant"], tenant_id), "tenant", tenant_id)


async def get_tenant(connection: Connection, tenant_id: str) -> Tenant:
    """NotFound."""
    return tenant(found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))


async def take_place(connection: Connection, tenant_id: str, cell_id: str) -> None:
    """One of the places in an open cell, for a tenant whose row is locked. CellFull."""
    if await connection.fetchval(SQL["take_place"], cell_id, tenant_id) is None:
        raise CellFull(capacities.full(cell_id))


async def take_room(connection: Connection, cell_id: str, booking: Booking, *, placed: bool) -> None:
    """Room in a cell whose row is locked; `placed`: for a tenant that is created there. Stale."""
    asked = list(booking.takes), list(booking.most), booking.offer
    if await connection.fetchval(SQL["take_room"], cell_id, *asked, placed) is None:
        raise Stale(reservations.outdated(cell_id))


async def use_reservation(connection: Connection, reservation_id: str, cell_id: str, takes: Takes) -> None:
    """What is kept becomes the room of a tenant that takes no more. The cell's row is locked. NotFound; Stale."""
    row = await connection.fetchrow(SQL["use_reservation"], reservation_id)
    if row is None:
        found(await connection.fetchrow(SQL["get_reservation"], reservation_id), "reservation", reservation_id)
        raise Stale(f"reservation {reservation_id} is over")
    reservations.check_use(reservation_id, row["cell_id"], row["takes"], cell_id, takes)
    await promise_room(connection, cell_id, row["takes"])


async def promise_room(connection: Connection, cell_id: str, takes: Takes) -> None:
    """Room in a cell whose row is locked, however much there is: it was compared before, or need not be."""
    await connection.execute(SQL["promise_room"], cell_id, list(takes))


async def take_place_back(connection: Connection, cell_id: str) -> None:
    """The place that a tenant's rows still have in the cell from which it came. CellFull."""
    if await connection.fetchval(SQL["take_place_back"], cell_id) is None:
        raise CellFull(capacities.full(cell_id))


async def reassign(
    connection: Connection, tenant_id: str, epoch: int, cell_id: str, *, back: bool = False
) -> Assignment:
    """From `epoch` to a fresh one in `cell_id`, and its change. After `lock_tenant`. Stale; CellFull."""
    known = await get_tenant(connection, tenant_id)
    if known.assignment is None or known.assignment.epoch != epoch:
        raise Stale(f"tenant {tenant_id} is no longer at epoch {epoch}: {known.assignment}")
    left = known.assignment.cell_id
    if left != cell_id:
        await connection.execute(SQL["lock_cells"], [left, cell_id])
        await (take_place_back(connection, cell_id) if back else take_place(connection, tenant_id, cell_id))
        await connection.execute(SQL["give_place"], left)
    fresh = await connection.fetchval(SQL["reassign"], tenant_id, epoch, cell_id)
    await record(connection, TenantEntry(tenant_id, cell_id, fresh, known.rate))
    return Assignment(tenant_id, cell_id, fresh)


async def record(connection: Connection, entry: CellEntry | TenantEntry) -> None:
    """The next number of the stream."""
    await connection.execute(SQL["record_change"], wire.encode_entry(entry))


def fields_of(kind: type[Any], row: asyncpg.Record | Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a value of this kind has: others came by an upgrade for programs that are newer."""
    return {name: value for name, value in row.items() if name in kind.__dataclass_fields__}


def cell(row: asyncpg.Record) -> Cell:
    """A cell as its row says."""
    capacity = Capacity(*(row[f"capacity_{each}"] for each in CAPACITY))
    caps = Caps(*(row[f"cap_{each}"] for each in CAPS))
    return Cell(**{**fields_of(Cell, row), "tags": tuple(row["tags"]), "capacity": capacity, "caps": caps})


def tenant(row: asyncpg.Record) -> Tenant:
    """A tenant as its row says."""
    cell_id, customer = row["cell_id"], row["customer"]
    made = {
        "assignment": None if cell_id is None else Assignment(row["tenant_id"], cell_id, row["epoch"]),
        "rate": rate(row["requests_per_second"], row["request_burst"]),
        "customer": None if customer is None else Customer(**fields_of(Customer, json.loads(customer))),
        "tags": tuple(row["tags"]),
    }
    return Tenant(**{**fields_of(Tenant, row), **made})


def rate(per_second: float | None, burst: int | None) -> Rate | None:
    """A limit as its columns say."""
    return None if per_second is None or burst is None else Rate(per_second, burst)
