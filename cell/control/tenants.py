"""Carrying decisions about tenants out. Every call may come twice, late, or from a messenger that died."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from cell import audit
from cell.access import enter_at
from cell.audit import Change
from cell.control.keys import KeyMaker
from cell.database import SQL, again, transaction
from cell.errors import NotHere, Stale, Unavailable
from directory.control.contract import TenantOrder, TenantReport
from runtime import logs
from runtime.backoff import Backoff
from runtime.database import Connection, Pool

log = logs.get("cell.control")
ResultT = TypeVar("ResultT")
FLIP_SECONDS = 5.0
"""How long a flip of the fence is tried: the control plane gives up after ten, and comes again."""
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '250ms'"
_AGAIN = Backoff(initial_seconds=0.05, cap_seconds=0.5, floor_seconds=0.01)
DELETE_SECONDS = 2.0
"""For removing rows in one call, which then says that there are more: other tenants' orders wait behind it."""
TABLES = (
    *("exports", "taken_resources", "mails", "invoices", "billing_subscriptions", "organisation_users"),
    *("organisations", "party_effects", "subscriptions"),
    *("orchestration_signals", "orchestration_steps", "orchestrations", "jobs", "allocations"),
    *("namespace_storage", "namespaces", "accounts", "api_keys", "idempotency_keys"),
    *("usage_records", "usage_minutes", "audit_entries", "tenants"),
)
"""All tenant tables, whoever refers to others first."""
BITE = 5000


@dataclass(frozen=True, slots=True)
class Fence:
    """What the fence knows of a tenant."""

    epoch: int
    state: str


async def known_fence(connection: Connection, tenant_id: str) -> Fence | None:
    """None: this tenant has never been here."""
    row = await connection.fetchrow(SQL["enter_fence"], tenant_id, 0)
    return None if row is None or row["epoch"] is None else Fence(row["epoch"], row["state"])


class Tenants:
    """Decisions about tenants."""

    def __init__(self, pool: Pool, keys: KeyMaker) -> None:
        self._pool, self._keys = pool, keys

    async def put(self, tenant_id: str, order: TenantOrder) -> TenantReport:
        """Open the fence at the order's epoch, and keep what was decided; from then on nobody writes by what was
        decided before. Stale."""
        return await _flipping(lambda: self._put(tenant_id, order))

    async def _put(self, tenant_id: str, order: TenantOrder) -> TenantReport:
        async with transaction(self._pool) as connection:
            await connection.execute(LOCK_TIMEOUT)
            # Also when it is open: this waits for requests that began under the last decision; new ones wait.
            await connection.execute(SQL["set_fence"], tenant_id, order.epoch, "active")
            await enter_at(connection, tenant_id, order.epoch)
            held = await self._keep(connection, tenant_id, order)
            api_key = None
            if order.first_key_seed is not None:
                made = await self._keys.make(connection, tenant_id, order.first_key_seed, "first key")
                api_key = made.api_key
            return TenantReport(
                tenant_id=tenant_id,
                epoch=order.epoch,
                revision=held["revision"],
                state=held["state"],
                api_key=api_key,
            )

    async def _keep(self, connection: Connection, tenant_id: str, order: TenantOrder) -> asyncpg.Record:
        known = await connection.fetchrow(SQL["get_tenant"])
        row = await connection.fetchrow(
            SQL["put_tenant"], order.display_name, order.plan, order.state, order.revision
        )
        held = row or known
        if held is None:
            raise Unavailable("the tenant vanished while its order was carried out")
        if held["revision"] != order.revision:
            raise Stale(f"revision {held['revision']} is known; {order.revision} is older")
        if row is not None:  # else it came before, and was written down then
            change = Change(f"tenants/{tenant_id}", None if known is None else _audited(known), _audited(row))
            await audit.record(connection, audit.OPERATOR, "putTenant", change)
        return held

    async def delete(self, tenant_id: str, epoch: int, revision: int) -> TenantReport | None:
        """Remove every row, then close the fence at `revision`; `deleting` when rows are left to the next call.

        None: never here. Stale.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + DELETE_SECONDS
        while await again(lambda: self._bite(tenant_id, epoch)):
            if loop.time() > end:
                return TenantReport(tenant_id=tenant_id, epoch=epoch, revision=revision, state="deleting")
        return await _flipping(lambda: self._delete(tenant_id, epoch, revision))

    async def _bite(self, tenant_id: str, epoch: int) -> bool:
        """Some rows in a transaction of their own, so that none grows with the tenant. True: there may be more."""
        async with transaction(self._pool) as connection:
            if await known_fence(connection, tenant_id) != Fence(epoch, "active"):
                return False  # done before, or never here, or another epoch: `_delete` says which
            await enter_at(connection, tenant_id, epoch)
            for table in TABLES[:-1]:  # the tenant itself goes last, with the fence
                if await _delete_some(connection, table) == BITE:
                    return True
            return False

    async def _delete(self, tenant_id: str, epoch: int, revision: int) -> TenantReport | None:
        async with transaction(self._pool) as connection:
            await connection.execute(LOCK_TIMEOUT)
            await connection.execute(SQL["lock_tenant_fence"], tenant_id)
            known = await known_fence(connection, tenant_id)
            if known is None:
                return None
            if known != Fence(revision, "moved"):
                if known != Fence(epoch, "active") or revision <= epoch:
                    raise Stale(f"the fence is {known.state} at epoch {known.epoch}, not active at {epoch}")
                await enter_at(connection, tenant_id, epoch)
                await self._remove_rest(connection)
                await connection.execute(SQL["set_fence"], tenant_id, revision, "moved")
                log.info("tenant_deleted", tenant=tenant_id, epoch=epoch, revision=revision)
            return TenantReport(tenant_id=tenant_id, epoch=revision, revision=revision, state="deleted")

    async def _remove_rest(self, connection: Connection) -> None:
        """What writers added since the last bite; they are locked out by now."""
        for table in TABLES:
            while await _delete_some(connection, table) == BITE:
                pass


def _audited(row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in ("display_name", "plan", "state", "revision")}


async def _delete_some(connection: Connection, table: str) -> int:
    tag = await connection.execute(SQL["delete_some"].format(table=f"cell.{table}"), BITE)
    return int(tag.rpartition(" ")[2])


async def _flipping(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Repeat a flip that found the tenant's writers in its way, until it is time to tell the caller."""
    loop = asyncio.get_running_loop()
    end, attempt = loop.time() + FLIP_SECONDS, 0
    while True:
        try:
            return await again(work)
        except NotHere as error:
            raise Stale(str(error)) from error
        except Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.LockNotAvailableError) or loop.time() > end:
                raise
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
        attempt += 1


def report_fence(row: Any) -> dict[str, Any]:
    """A fence's row as the contract has it."""
    return {name: row[name] for name in ("tenant_id", "epoch", "state", "move_id")}
