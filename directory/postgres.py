"""The truth, kept in Postgres: the control database. Every write is one transaction."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

import asyncpg

from directory import wire
from directory.errors import AlreadyExists, CellFull, Gap, NotFound, Stale, Unavailable
from directory.rules import addresses, names, rates, states
from directory.rules.states import CellEvent, TenantEvent
from directory.values import (
    Assignment,
    Cell,
    CellChange,
    CellEntry,
    Change,
    Customer,
    NewCell,
    NewTenant,
    Rate,
    Snapshot,
    Tenant,
    TenantEntry,
    TenantState,
)
from runtime import database
from runtime.database import BUSY, CONNECT_SECONDS, UNREACHABLE, Connection, Pool, PoolConnection
from runtime.queries import Queries
from runtime.schema import upgrades

SQL = Queries("directory")
UPGRADES = upgrades("directory")
COMPONENT = "directory"
CHANNEL = "directory_changes"


TRANSACTION_SECONDS = 10.0
"""No call takes longer, whatever the server does."""
PROBE_SECONDS = 1.0
ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")


def _repeated(
    call: Callable[ArgumentsT, Awaitable[ResultT]],
) -> Callable[ArgumentsT, Coroutine[Any, Any, ResultT]]:
    """The whole call again, a few times, when its transaction clashed with another one."""

    @functools.wraps(call)
    async def repeated(*args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> ResultT:
        return await database.again(lambda: call(*args, **kwargs))

    return repeated


@contextlib.contextmanager
def _border() -> Iterator[None]:
    """Where Postgres' errors that are nobody's fault become `Unavailable`."""
    try:
        yield
    except (*UNREACHABLE, *BUSY) as error:
        raise Unavailable(f"the control database cannot do it now: {type(error).__name__}") from error


class PostgresDirectory:
    """`Directory` over a pool of connections as role `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._changed = asyncio.Event()
        self._listening: PoolConnection | None = None

    @contextlib.asynccontextmanager
    async def _transaction(self, **kind: Any) -> AsyncIterator[Connection]:
        with _border():
            async with database.transaction(self._pool, seconds=TRANSACTION_SECONDS, **kind) as connection:
                yield connection

    async def _row(self, query: str, *parameters: Any) -> asyncpg.Record | None:
        async with self._transaction() as connection:
            return await connection.fetchrow(SQL[query], *parameters)

    async def _rows(self, query: str, *parameters: Any) -> list[asyncpg.Record]:
        async with self._transaction() as connection:
            return await connection.fetch(SQL[query], *parameters)

    # Cells

    @_repeated
    async def register_cell(self, new: NewCell) -> Cell:
        names.check_name("cell", new.cell_id)
        async with self._transaction() as connection:
            row = await connection.fetchrow(SQL["insert_cell"], new.cell_id, new.region, *_particulars(new))
            if row is None:
                raise AlreadyExists(f"cell {new.cell_id} is registered already")
            return await _announced(connection, _cell(row))

    @_repeated
    async def update_cell(self, cell_id: str, change: CellChange) -> Cell:
        async with self._transaction() as connection:
            row = await connection.fetchrow(SQL["update_cell"], cell_id, *_particulars(change))
            return await _announced(connection, _cell(_found(row, "cell", cell_id)))

    @_repeated
    async def change_cell(self, cell_id: str, event: CellEvent) -> Cell:
        async with self._transaction() as connection:
            row = _found(await connection.fetchrow(SQL["lock_cell"], cell_id), "cell", cell_id)
            state = states.after(states.CELLS, row["state"], event)
            changed = await connection.fetchrow(SQL["set_cell_state"], cell_id, state)
            return await _announced(connection, _cell(_found(changed, "cell", cell_id)))

    async def cell(self, cell_id: str) -> Cell:
        return _cell(_found(await self._row("get_cell", cell_id), "cell", cell_id))

    async def cells(self) -> Sequence[Cell]:
        return [_cell(row) for row in await self._rows("list_cells")]

    # Tenants

    @_repeated
    async def create_tenant(self, new: NewTenant, cell_id: str) -> Tenant:
        names.check_name("tenant", new.tenant_id)
        rates.check_rate(new.rate)
        async with self._transaction() as connection:
            described = (
                new.tenant_id,
                new.display_name,
                new.plan,
                new.region,
                new.creation_key,
                new.creation_digest,
                *_limits(new.rate),
                None if new.customer is None else json.dumps(asdict(new.customer)),
            )
            if await connection.fetchval(SQL["insert_tenant"], *described) is None:
                raise AlreadyExists(f"tenant {new.tenant_id} exists already, or existed once")
            await _take_place(connection, cell_id)
            epoch = await connection.fetchval(SQL["insert_assignment"], new.tenant_id, cell_id)
            await _record(connection, TenantEntry(new.tenant_id, cell_id, epoch, new.rate))
            return _tenant(
                _found(await connection.fetchrow(SQL["get_tenant"], new.tenant_id), "tenant", new.tenant_id)
            )

    async def tenant(self, tenant_id: str) -> Tenant:
        return _tenant(_found(await self._row("get_tenant", tenant_id), "tenant", tenant_id))

    async def tenants(
        self, *, after: str = "", limit: int = 100, cell_id: str | None = None, state: TenantState | None = None
    ) -> Sequence[Tenant]:
        return [_tenant(row) for row in await self._rows("list_tenants", after, limit, cell_id, state)]

    @_repeated
    async def change_tenant(self, tenant_id: str, event: TenantEvent) -> Tenant:
        async with self._transaction() as connection:
            row = _found(await connection.fetchrow(SQL["lock_tenant"], tenant_id), "tenant", tenant_id)
            await connection.execute(
                SQL["set_tenant_state"], tenant_id, states.after(states.TENANTS, row["state"], event)
            )
            return _tenant(_found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))

    @_repeated
    async def limit_tenant(self, tenant_id: str, rate: Rate | None) -> Tenant:
        rates.check_rate(rate)
        async with self._transaction() as connection:
            # Locked before it is read: a move must not change the cell between the look and the record.
            _found(await connection.fetchrow(SQL["lock_tenant"], tenant_id), "tenant", tenant_id)
            tenant = _tenant(_found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))
            rates.check_limitable(tenant.state)
            if tenant.rate == rate:
                return tenant
            await connection.execute(SQL["set_tenant_rate"], tenant_id, *_limits(rate))
            home = tenant.assignment
            if home is not None:
                await _record(connection, TenantEntry(tenant_id, home.cell_id, home.epoch, rate))
            return _tenant(_found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))

    @_repeated
    async def applied(self, tenant_id: str, revision: int) -> Tenant:
        async with self._transaction() as connection:
            row = _found(await connection.fetchrow(SQL["lock_tenant"], tenant_id), "tenant", tenant_id)
            if row["revision"] != revision:
                raise Stale(f"tenant {tenant_id} is at revision {row['revision']}, not {revision}")
            await connection.execute(SQL["set_applied"], tenant_id, revision)
            if row["state"] == "deleted":
                await _leave(connection, tenant_id, revision)
            return _tenant(_found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))

    async def unsettled(self, limit: int = 100, after_revision: int = 0) -> Sequence[Tenant]:
        return [_tenant(row) for row in await self._rows("list_unsettled", limit, after_revision)]

    @_repeated
    async def reassign(self, tenant_id: str, epoch: int, cell_id: str) -> Assignment:
        async with self._transaction() as connection:
            _found(await connection.fetchrow(SQL["lock_tenant"], tenant_id), "tenant", tenant_id)
            tenant = _tenant(_found(await connection.fetchrow(SQL["get_tenant"], tenant_id), "tenant", tenant_id))
            if tenant.assignment is None or tenant.assignment.epoch != epoch:
                raise Stale(f"tenant {tenant_id} is no longer at epoch {epoch}: {tenant.assignment}")
            await _change_places(connection, tenant.assignment.cell_id, cell_id)
            fresh = await connection.fetchval(SQL["reassign"], tenant_id, epoch, cell_id)
            await _record(connection, TenantEntry(tenant_id, cell_id, fresh, tenant.rate))
            return Assignment(tenant_id, cell_id, fresh)

    # The stream

    async def identity(self) -> str:
        return str(_found(await self._row("get_head"), "directory", "head")["identity"])

    async def head(self) -> int:
        return int(_found(await self._row("get_head"), "directory", "head")["seq"])

    async def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        async with self._transaction() as connection:
            head = await connection.fetchrow(SQL["get_head"])
            rows = await connection.fetch(SQL["list_changes"], after, limit)
        if after > _found(head, "directory", "head")["seq"] or (rows and rows[0]["seq"] != after + 1):
            raise Gap(f"the changes after {after} are not kept")
        if not rows and after < _found(head, "directory", "head")["seq"]:
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
        with _border():
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
        async with self._transaction(isolation="repeatable_read", readonly=True) as connection:
            head = _found(await connection.fetchrow(SQL["get_head"]), "directory", "head")
            cells = await connection.fetch(SQL["list_cells"])
            rows = await connection.fetch(SQL["snapshot_tenants"])
        return Snapshot(
            identity=head["identity"],
            seq=head["seq"],
            cells={row["cell_id"]: _cell_entry(_cell(row)) for row in cells},
            tenants={row["tenant_id"]: _tenant_entry(row) for row in rows},
        )

    @_repeated
    async def forget_changes(self, keep: int) -> int:
        async with self._transaction() as connection:
            status = await connection.execute(SQL["forget_changes"], keep)
        return int(status.split()[-1])


def _particulars(cell: NewCell | CellChange) -> tuple[object, ...]:
    origins = [
        None if text is None else addresses.check_origin(text) for text in (cell.address, cell.control_address)
    ]
    return *origins, cell.capacity_tenants, cell.version, None if cell.tags is None else list(cell.tags)


async def _take_place(connection: Connection, cell_id: str) -> None:
    if await connection.fetchval(SQL["take_place"], cell_id) is None:
        raise CellFull(f"cell {cell_id} is full, or not open, or not registered")


async def _change_places(connection: Connection, left: str, cell_id: str) -> None:
    if left == cell_id:
        return
    await connection.execute(SQL["lock_cells"], [left, cell_id])
    await _take_place(connection, cell_id)
    await connection.execute(SQL["give_place"], left)


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
        await _record(connection, TenantEntry(tenant_id, None, revision))


async def _announced(connection: Connection, cell: Cell) -> Cell:
    await _record(connection, _cell_entry(cell))
    return cell


async def _record(connection: Connection, entry: CellEntry | TenantEntry) -> None:
    await connection.execute(SQL["record_change"], wire.encode_entry(entry))


def _found(row: asyncpg.Record | None, what: str, name: str) -> asyncpg.Record:
    if row is None:
        raise NotFound(f"no {what} {name}")
    return row


def _cell_entry(cell: Cell) -> CellEntry:
    return CellEntry(cell.cell_id, cell.state, cell.address)


def _tenant_entry(row: asyncpg.Record) -> TenantEntry:
    tenant_id, cell_id, epoch, per_second, burst = row.values()
    return TenantEntry(tenant_id, cell_id, epoch, _rate(per_second, burst))


def _cell(row: asyncpg.Record) -> Cell:
    return Cell(**{**dict(row), "tags": tuple(row["tags"])})


def _tenant(row: asyncpg.Record) -> Tenant:
    fields = dict(row)
    cell_id, epoch = fields.pop("cell_id"), fields.pop("epoch")
    assignment = None if cell_id is None else Assignment(row["tenant_id"], cell_id, epoch)
    rate = _rate(fields.pop("requests_per_second"), fields.pop("request_burst"))
    customer = fields.pop("customer")
    kept = None if customer is None else Customer(**json.loads(customer))
    return Tenant(**fields, assignment=assignment, rate=rate, customer=kept)


def _rate(per_second: float | None, burst: int | None) -> Rate | None:
    return None if per_second is None or burst is None else Rate(per_second, burst)


def _limits(rate: Rate | None) -> tuple[float | None, int | None]:
    return (None, None) if rate is None else (rate.per_second, rate.burst)
