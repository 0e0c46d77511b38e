"""What would move: which tables, made of what, and how much a tenant has in them."""

from directory.control.contract import SchemaReport, TenantSize
from directory.fence.sizes import read_sizes
from migration.catalog import read_listed, read_schema
from migration.steward.errors import SQL, transaction
from migration.steward.tenants import entered
from runtime.database import Pool


async def size(pool: Pool, tenant_id: str) -> TenantSize | None:
    """None: the tenant does not live here. Unavailable."""
    async with transaction(pool) as connection:
        fence = await entered(connection, tenant_id)
        if fence is None or fence.state not in ("active", "fenced"):
            return None
        return TenantSize(tables=await read_sizes(connection, await read_listed(connection)))


async def schema(pool: Pool) -> SchemaReport:
    """Of all tables of tenants. Unavailable; Obstacle: one of them is gone, or is no plain table."""
    async with transaction(pool) as connection:
        await connection.execute(SQL["begin"])
        found = await read_schema(connection)
        return SchemaReport(tables=list(found.tables.values()), encoding=found.encoding)
