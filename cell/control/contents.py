"""What would move: which tables, made of what, and how much a tenant has in them."""

from cell.control.tenants import TABLES, known_fence
from cell.database import transaction
from directory.control.contract import SchemaReport, TenantSize
from directory.fence.catalog import QUERIES, Listed, read_encoding, read_tables
from directory.fence.sizes import read_sizes
from runtime.database import Pool

LISTED = [Listed(f"cell.{table}", "tenant_id") for table in sorted(TABLES)]


async def size(pool: Pool, tenant_id: str) -> TenantSize | None:
    """None: the tenant does not live here."""
    async with transaction(pool) as connection:
        await connection.execute(QUERIES["pin_types"])
        fence = await known_fence(connection, tenant_id)
        if fence is None or fence.state not in ("active", "fenced"):
            return None
        return TenantSize(tables=await read_sizes(connection, LISTED))


async def schema(pool: Pool) -> SchemaReport:
    """Of all tables of tenants."""
    async with transaction(pool) as connection:
        await connection.execute(QUERIES["pin_types"])
        tables = await read_tables(connection, LISTED)
        return SchemaReport(tables=list(tables.values()), encoding=await read_encoding(connection))
