"""Quotas of the tenant that was entered: looked at after a change that adds, in its transaction.

Add first, then call `require`: it takes a lock of the tenant's that is held to the transaction's end, and only
then looks. Of any two transactions the later one to look thus sees what both have added, so together they never
exceed a quota; whoever is refused leaves nothing behind.
"""

import asyncpg

from cell.database import SQL
from cell.rules import quotas
from cell.rules.quotas import QuotaName, Use
from directory.rules.plans import Plan, plan_of
from runtime.database import Connection


async def require(connection: Connection, tenant_id: str, quota: QuotaName, added: int = 1) -> None:
    """After `added` was added: ApiError 403 when that is more than the plan gives."""
    await hold(connection, tenant_id)
    row = await _row(connection)
    quotas.check(plan_of(row["plan"] or ""), _use(row), quota, added)


async def hold(connection: Connection, tenant_id: str) -> None:
    """Until this transaction ends nothing else is added: also for whoever is about to change the plan."""
    await connection.execute(SQL["hold_quotas"], tenant_id)


async def plan(connection: Connection) -> Plan:
    """The tenant's plan."""
    return plan_of((await _row(connection))["plan"] or "")


async def use(connection: Connection) -> Use:
    """How much the tenant has."""
    return _use(await _row(connection))


async def _row(connection: Connection) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["quotas_use"])
    if row is None:
        raise RuntimeError("a query of sums without a row")
    return row


def _use(row: asyncpg.Record) -> Use:
    return {"namespaces": int(row["namespaces"]), "storage_bytes": int(row["storage_bytes"])}
