"""Carrying decisions about tenants out. Every call may come twice, late, or from a messenger that died."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from directory.control.contract import TenantOrder, TenantReport
from directory.rules.tables import Schema
from migration.catalog import read_schema
from migration.rules import statements
from migration.steward.errors import SQL, Stale, Unavailable, transaction
from runtime import logs
from runtime.backoff import Backoff
from runtime.database import CLASHES, Connection, Pool, again

log = logs.get("migration.steward")
ResultT = TypeVar("ResultT")
FLIP_SECONDS = 5.0
"""How long a flip of the fence is tried: the control plane gives up after ten, and comes again."""
DELETE_SECONDS = 2.0
"""For removing rows in one call, which then says that there are more: other tenants' orders wait behind it."""
BITE = 5000
_AGAIN = Backoff(initial_seconds=0.05, cap_seconds=0.5, floor_seconds=0.01)


@dataclass(frozen=True, slots=True)
class Fence:
    """What the fence knows of a tenant."""

    epoch: int
    state: str


class Tenants:
    """Decisions about tenants."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, tenant_id: str, order: TenantOrder) -> TenantReport:
        """Open the fence at the order's epoch, and keep what was decided. Stale; Unavailable."""
        return await _flipping(lambda: self._put(tenant_id, order))

    async def _put(self, tenant_id: str, order: TenantOrder) -> TenantReport:
        async with transaction(self._pool) as connection:
            known = await entered(connection, tenant_id)
            if known is not None and known.state == "importing" and known.epoch < order.epoch:
                raise Unavailable("the tenant is arriving here, and is opened by the mover that brings it")
            # A mover may have opened it at this epoch: that is this decision, if not in these words.
            if known != Fence(order.epoch, "active"):
                await connection.execute(SQL["set_fence"], tenant_id, order.epoch, "active")
            kept = await connection.fetchval(
                SQL["keep_decision"], tenant_id, order.revision, order.state, order.display_name, order.plan
            )
            if kept is None:
                raise Stale(f"a later revision is known than {order.revision}")
        return TenantReport(tenant_id=tenant_id, epoch=order.epoch, revision=order.revision, state=order.state)

    async def delete(self, tenant_id: str, epoch: int, revision: int) -> TenantReport | None:
        """Remove every row, then close the fence at `revision`; `deleting` when rows are left to the next call.

        None: never here. Stale; Unavailable.
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
            if await entered(connection, tenant_id) != Fence(epoch, "active"):
                return False  # done before, or never here, or another epoch: `_delete` says which
            return await _bitten(connection, await read_schema(connection))

    async def _delete(self, tenant_id: str, epoch: int, revision: int) -> TenantReport | None:
        async with transaction(self._pool) as connection:
            known = await entered(connection, tenant_id)
            if known is None:
                return None
            await connection.execute(SQL["lock_fence"], tenant_id)
            known = await entered(connection, tenant_id)
            if known != Fence(revision, "moved"):
                if known != Fence(epoch, "active") or revision <= epoch:
                    raise Stale(f"the fence is not active at {epoch}: {known}")
                schema = await read_schema(connection)
                while await _bitten(connection, schema):
                    pass  # what writers added since the last bite; they are locked out by now
                await connection.execute(SQL["forget_decision"], tenant_id)
                await connection.execute(SQL["set_fence"], tenant_id, revision, "moved")
                log.info("tenant_deleted", tenant=tenant_id, epoch=epoch, revision=revision)
        return TenantReport(tenant_id=tenant_id, epoch=revision, revision=revision, state="deleted")


async def entered(connection: Connection, tenant_id: str) -> Fence | None:
    """None: this tenant has never been here."""
    await connection.execute(SQL["begin"])
    row = await connection.fetchrow(SQL["look_at_fence"], tenant_id)
    return None if row is None or row["epoch"] is None else Fence(row["epoch"], row["state"])


async def _bitten(connection: Connection, schema: Schema) -> bool:
    """Some rows of the tenant that was entered are gone. True: there may be more."""
    for table in schema.tables.values():
        said = await connection.execute(statements.delete_some(table), BITE)
        if int(said.rpartition(" ")[2]) == BITE:
            return True
    return False


async def _flipping(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Repeat a flip that found the tenant's writers in its way, until it is time to tell the caller."""
    loop = asyncio.get_running_loop()
    end, attempt = loop.time() + FLIP_SECONDS, 0
    while True:
        try:
            return await work()
        except Unavailable as error:
            if not isinstance(error.__cause__, (asyncpg.LockNotAvailableError, *CLASHES)) or loop.time() > end:
                raise
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
        attempt += 1
