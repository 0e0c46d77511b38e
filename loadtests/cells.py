"""A cell's database on a server of the benchmark's, with tenants in it."""

from collections.abc import Sequence

import asyncpg

from cell.schema_state import upgrade_all
from directory.fence import MOVER_ROLES
from runtime import database
from runtime.embedded.postgres import PostgresServer

ROLES = ("cell_owner", "cell_app", "cell_control", "cell_relay", "cell_mover")


async def make_cell(server: PostgresServer, password: str, tenants: Sequence[str], epoch: int) -> None:
    """Database `cell` with its roles, the schema, and these tenants' fences open."""
    await database.bootstrap(server.admin_dsn, "cell", "cell_owner", dict.fromkeys(ROLES, password), MOVER_ROLES)
    await upgrade_all(server.dsn("cell", "cell_owner", password))
    control = await asyncpg.connect(server.dsn("cell", "cell_control", password), timeout=10)
    try:
        for tenant in tenants:
            await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", tenant, epoch)
    finally:
        await control.close()
