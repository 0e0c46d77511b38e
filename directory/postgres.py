"""The truth, kept in Postgres: the control database. Every write is one transaction."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple

import asyncpg

from directory import transactions, wire
from directory.errors import AlreadyExists, Gap, Stale
from directory.reservations import Booking, Use
from directory.rules import addresses, capacities, moves, names, rates, states
from directory.rules.states import CellEvent, TenantEvent
from directory.transactions import (
    SQL,
    Transactions,
    fields_of,
    found,
    get_tenant,
    lock_tenant,
    record,
    repeated,
    take_place,
)
from directory.values import (
    Assignment,
    Cell,
    CellChange,
    CellEntry,
    Change,
    NewCell,
    NewTenant,
    Rate,
    Resident,
    Snapshot,
    Tenant,
    TenantEntry,
    TenantState,
    Term,
)
from runtime.database import BUSY, CONNECT_SECONDS, UNREACHABLE, Connection, Pool, PoolConnection
from runtime.schema import upgrades

UPGRADES = upgrades("directory")
COMPONENT = "directory"
CHANNEL = "directory_changes"

PROBE_SECONDS = 1.0


class PostgresDirectory:
    """`Directory` over a pool of connections as role `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transactions = Transactions(pool)
        self._changed = asyncio.Event()
        self._listening: PoolConnection | None = None

    # Cells

    @repeated
    async def register_cell(self, new: NewCell) -> Cell:
        names.check_name("cell", new.cell_id)
        capacities.check_cell(new)
        async with self._transactions.begun() as connection:
            holds = *astuple(new.capacity), *astuple(new.caps), new.dedicated_to
            described = new.cell_id, new.region, *_particulars(new), *holds
            row = await connection.fetchrow(SQL["insert_cell"], *described)
            if row is None:
                raise AlreadyExists(capacities.taken(new.cell_id))
            return await _announced(connection, transactions.cell(row))

    @repeated
    async def update_cell(self, cell_id: str, change: CellChange, was: Cell | None = None) -> Cell:
        capacities.check_cell(change)
        async with self._transactions.begun() as connection:
            row = await connection.fetchrow(SQL["lock_cell"], cell_id)
            known = transactions.cell(found(row, "cell", cell_id))
            capacities.check_same(known, was)
            if change.dedicated_to not in (None, known.dedicated_to):
                await _check_dedicable(connection, cell_id, change.dedicated_to)
            if change.capacity is not None:
                await connection.execute(SQL["set_capacity"], cell_id, *astuple(change.capacity))
            if change.caps is not None:
                await connection.execute(SQL["set_caps"], cell_id, *astuple(change.caps))
            described = cell_id, *_particulars(change), change.dedicated_to
            row = await connection.fetchrow(SQL["update_cell"], *described)
            return await _announced(connection, transactions.cell(found(row, "cell", cell_id)))

    @repeated
    async def change_cell(self, cell_id: str, event: CellEvent, term: Term | None = None) -> Cell:
        async with self._transactions.begun(term) as connection:
            row = found(await connection.fetchrow(SQL["lock_cell"], cell_id), "cell", cell_id)
            state = states.after(states.CELLS, row["state"], event)
            if event in states.LEFT:
                rows = await connection.fetch(SQL["list_moves_of_cell"], cell_id)
                capacities.check_left(cell_id, event, row["tenants"], (each["move_id"] for each in rows))
            changed = await connection.fetchrow(SQL["set_cell_state"], cell_id, state)
            return await _announced(connection, transactions.cell(found(changed, "cell", cell_id)))

    async def cell(self, cell_id: str) -> Cell:
        return transactions.cell(found(await self._transactions.row("get_cell", cell_id), "cell", cell_id))

    async def cells(self) -> Sequence[Cell]:
        return [transactions.cell(row) for row in await self._transactions.rows("list_cells")]

    # Tenants

    @repeated
    async def create_tenant(self, new: NewTenant, cell_id: str, booking: Booking | Use | None = None) -> Tenant:
        names.check_name("tenant", new.tenant_id)
        rates.check_rate(new.rate)
        tags = capacities.check_place(new.tags, new.revenue, new.dedicated_to)
        async with self._transactions.begun() as connection:
            described = (
                new.tenant_id,
                new.display_name,
                new.plan,
                new.region,
                new.creation_key,
                new.creation_digest,
                *_limits(new.rate),
                None if new.customer is None else json.dumps(asdict(new.customer)),
                *(tags, new.revenue, new.dedicated_to),
            )
            if await connection.fetchval(SQL["insert_tenant"], *described) is None:
                raise AlreadyExists(f"tenant {new.tenant_id} exists already, or existed once")
            await take_place(connection, new.tenant_id, cell_id)
            if isinstance(booking, Booking):
                await transactions.take_room(connection, cell_id, booking, placed=True)
            elif booking is not None:
                await transactions.use_reservation(connection, booking.reservation_id, cell_id, booking.takes)
            epoch = await connection.fetchval(SQL["insert_assignment"], new.tenant_id, cell_id)
            await record(connection, TenantEntry(new.tenant_id, cell_id, epoch, new.rate))
            return await get_tenant(connection, new.tenant_id)

    async def tenant(self, tenant_id: str) -> Tenant:
        return transactions.tenant(
            found(await self._transactions.row("get_tenant", tenant_id), "tenant", tenant_id)
        )

    async def tenants(
        self, *, after: str = "", limit: int = 100, cell_id: str | None = None, state: TenantState | None = None
    ) -> Sequence[Tenant]:
        return [
            transactions.tenant(row)
            for row in await self._transactions.rows("list_tenants", after, limit, cell_id, state)
        ]

    async def residents(self, after: str = "", limit: int = 5000) -> Sequence[Resident]:
        rows = await self._transactions.rows("list_residents", after, limit)
        return [Resident(**{**fields_of(Resident, row), "tags": tuple(row["tags"])}) for row in rows]

    @repeated
    async def change_tenant(self, tenant_id: str, event: TenantEvent) -> Tenant:
        async with self._transactions.begun() as connection:
            row = await lock_tenant(connection, tenant_id)
            state = states.after(states.TENANTS, row["state"], event)
            if state == "deleted":
                # Whoever plans or commits a move locks the tenant too, so none comes or gets ahead meanwhile.
                rows = await connection.fetch(SQL["list_unfinished_moves"], tenant_id)
                moves.check_deletable((row["move_id"], row["phase"]) for row in rows)
            await connection.execute(SQL["set_tenant_state"], tenant_id, state)
            return await get_tenant(connection, tenant_id)

    @repeated
    async def limit_tenant(self, tenant_id: str, rate: Rate | None) -> Tenant:
        rates.check_rate(rate)
        async with self._transactions.begun() as connection:
            # Locked before it is read: a move must not change the cell between the look and the record.
            await lock_tenant(connection, tenant_id)
            tenant = await get_tenant(connection, tenant_id)
            rates.check_limitable(tenant.state)
            if tenant.rate == rate:
                return tenant
            await connection.execute(SQL["set_tenant_rate"], tenant_id, *_limits(rate))
            home = tenant.assignment
            if home is not None:
                await record(connection, TenantEntry(tenant_id, home.cell_id, home.epoch, rate))
            return await get_tenant(connection, tenant_id)

    @repeated
    async def place_tenant(
        self,
        tenant_id: str,
        *,
        tags: Sequence[str] | None = None,
        revenue: float | None = None,
        dedicated_to: str | None = None,
    ) -> Tenant:
        tags = capacities.check_place(tags, revenue, dedicated_to)
        async with self._transactions.begun() as connection:
            row = await lock_tenant(connection, tenant_id)
            capacities.check_placeable(row["state"])
            await connection.execute(SQL["set_tenant_place"], tenant_id, tags, revenue, dedicated_to)
            return await get_tenant(connection, tenant_id)

    @repeated
    async def applied(self, tenant_id: str, revision: int) -> Tenant:
        async with self._transactions.begun() as connection:
            row = await lock_tenant(connection, tenant_id)
            if row["revision"] != revision:
                raise Stale(f"tenant {tenant_id} is at revision {row['revision']}, not {revision}")
            await connection.execute(SQL["set_applied"], tenant_id, revision)
            if row["state"] == "deleted":
                await _leave(connection, tenant_id, revision)
            return await get_tenant(connection, tenant_id)

    async def unsettled(self, limit: int = 100, after_revision: int = 0) -> Sequence[Tenant]:
        return [
            transactions.tenant(row)
            for row in await self._transactions.rows("list_unsettled", limit, after_revision)
        ]

    @repeated
    async def reassign(self, tenant_id: str, epoch: int, cell_id: str) -> Assignment:
        async with self._transactions.begun() as connection:
            await lock_tenant(connection, tenant_id)
            return await transactions.reassign(connection, tenant_id, epoch, cell_id)

    # The stream

    async def identity(self) -> str:
        return str(found(await self._transactions.row("get_head"), "directory", "head")["identity"])

    async def head(self) -> int:
        return int(found(await self._transactions.row("get_head"), "directory", "head")["seq"])

    async def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        async with self._transactions.begun() as connection:
            head = await connection.fetchrow(SQL["get_head"])
            rows = await connection.fetch(SQL["list_changes"], after, limit)
        if after > found(head, "directory", "head")["seq"] or (rows and rows[0]["seq"] != after + 1):
            raise Gap(f"the changes after {after} are not kept")
        if not rows and after < found(head, "directory", "head")["seq"]:
            raise Gap(f"the changes after {after} are not kept")
        return [wire.decode_change(row["seq"], row["entry"]) for row in rows]

    async def wait(self, after: int, seconds: float) -> None:
        await self._listen()
        self._changed.clear()
        if await self.head() > after:
            return
        # Not `wait_for`: it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _listen(self) -> None:
        if self._listening is not None and await _hears(self._listening):
            return
        await self.close()
        with transactions.border():
            self._listening = await self._pool.acquire(timeout=CONNECT_SECONDS)
            await self._listening.add_listener(CHANNEL, self._notified)
            # A server that goes away must not be waited for: the next look says so.
            self._listening.add_termination_listener(self._notified)

    def _notified(self, *_about: object) -> None:
        self._changed.set()

    async def close(self) -> None:
        """End the connection that listens. It is torn down, because taking leave of a server may wait for it."""
        listening, self._listening = self._listening, None
        if listening is not None:
            # One that broke has left the pool by itself, and then refuses to be called.
            with contextlib.suppress(*UNREACHABLE):
                listening.remove_termination_listener(self._notified)
                listening.terminate()
            await self._pool.release(listening)

    async def snapshot(self) -> Snapshot:
        async with self._transactions.begun(isolation="repeatable_read", readonly=True) as connection:
            head = found(await connection.fetchrow(SQL["get_head"]), "directory", "head")
            cells = await connection.fetch(SQL["list_cells"])
            rows = await connection.fetch(SQL["snapshot_tenants"])
        return Snapshot(
            identity=head["identity"],
            seq=head["seq"],
            cells={row["cell_id"]: _cell_entry(transactions.cell(row)) for row in cells},
            tenants={row["tenant_id"]: _tenant_entry(row) for row in rows},
        )

    @repeated
    async def forget_changes(self, keep: int) -> int:
        async with self._transactions.begun() as connection:
            status = await connection.execute(SQL["forget_changes"], keep)
        return int(status.split()[-1])


def _particulars(cell: NewCell | CellChange) -> tuple[object, ...]:
    origins = [
        None if text is None else addresses.check_origin(text) for text in (cell.address, cell.control_address)
    ]
    return *origins, cell.capacity_tenants, cell.version, None if cell.tags is None else list(cell.tags)


async def _check_dedicable(connection: Connection, cell_id: str, name: str) -> None:
    """After the cell was locked: nobody comes meanwhile."""
    others = await connection.fetch(SQL["list_others_of_cell"], cell_id, name)
    moves = await connection.fetch(SQL["list_moves_of_cell"], cell_id)
    passing = [row["move_id"] for row in moves if name not in (row["dedicated_to"], row["tenant_id"])]
    capacities.check_dedicable(cell_id, name, [row["tenant_id"] for row in others], passing)


async def _hears(listening: PoolConnection) -> bool:
    """Whether its server is still there: one that went without a word would never notify."""
    try:
        await listening.fetchval("SELECT 1", timeout=PROBE_SECONDS)
    except (*UNREACHABLE, *BUSY):
        return False
    return True


async def _leave(connection: Connection, tenant_id: str, revision: int) -> None:
    cell_id = await connection.fetchval(SQL["delete_assignment"], tenant_id)
    if cell_id is not None:
        await connection.execute(SQL["give_place"], cell_id)
        await record(connection, TenantEntry(tenant_id, None, revision))


async def _announced(connection: Connection, cell: Cell) -> Cell:
    await record(connection, _cell_entry(cell))
    return cell


def _cell_entry(cell: Cell) -> CellEntry:
    return CellEntry(cell.cell_id, cell.state, cell.address)


def _tenant_entry(row: asyncpg.Record) -> TenantEntry:
    tenant_id, cell_id, epoch, per_second, burst = row.values()
    return TenantEntry(tenant_id, cell_id, epoch, transactions.rate(per_second, burst))


def _limits(rate: Rate | None) -> tuple[float | None, int | None]:
    return (None, None) if rate is None else (rate.per_second, rate.burst)
