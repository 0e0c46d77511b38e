"""Entering a tenant for an operator, at whatever epoch it is served here."""

from cell.access import enter_at
from cell.database import SQL
from cell.errors import NotHere
from runtime.api.problem import not_found
from runtime.database import Connection


async def enter_any(connection: Connection, tenant_id: str) -> int:
    """The epoch. ApiError 404 when the tenant does not live here."""
    row = await connection.fetchrow(SQL["enter_fence"], tenant_id, 0)
    if row is None or row["epoch"] is None or row["state"] != "active":
        raise not_found("tenant", tenant_id)
    try:
        await enter_at(connection, tenant_id, row["epoch"])
    except NotHere:
        raise not_found("tenant", tenant_id) from None
    return int(row["epoch"])
