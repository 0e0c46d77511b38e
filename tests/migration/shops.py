"""The shop of docs/adopting.md: the database of a service that has never heard of cells."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from migration.adopting.program import Order, run
from runtime import database
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from tests.catalogue import catalogue
from tests.servers import PASSWORD

SHOP = Path(__file__).parents[2] / "docs" / "examples" / "shop"
ROWS = """
    INSERT INTO customers VALUES (1001, 'Ann'), (1002, 'Ben');
    INSERT INTO orders (customer_id) VALUES (1001), (1002), (1002);
    INSERT INTO order_lines (order_id, sku, quantity) SELECT id, 'tea', 2 FROM orders;
    INSERT INTO visits VALUES (1001, '/'), (1001, '/'), (1003, '/tea');
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop's database, which belongs to a plain role."""

    server: PostgresServer
    name: str
    mover: str

    @property
    def admin_dsn(self) -> str:
        """As a superuser."""
        return self.server.dsn(self.name)

    @property
    def dsn(self) -> str:
        """As the shop."""
        return self.server.dsn(self.name, "shop_owner", PASSWORD)

    @asynccontextmanager
    async def session(self, dsn: str | None = None) -> AsyncIterator[Connection]:
        """A connection of the shop's."""
        connection = await asyncpg.connect(dsn or self.dsn, timeout=5)
        try:
            yield connection
        finally:
            await connection.close()

    async def run(self, *statements: str) -> None:
        """As the shop."""
        async with self.session() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def picture(self) -> dict[str, Any]:
        """Everything that the catalogue knows of it, and the server's roles."""
        async with self.session(self.admin_dsn) as connection:
            names = [row[0] for row in await connection.fetch("SELECT nspname FROM pg_namespace ORDER BY 1")]
            own = [name for name in names if not name.startswith("pg_") and name != "information_schema"]
            found: dict[str, Any] = await catalogue(connection, *own)
            # A right that was given and taken away again leaves the owner's own behind, which it had all along.
            found["grants on relations"] = [
                line for line in found["grants on relations"] if " shop_owner=" not in line
            ]
            roles = "SELECT rolname, rolbypassrls FROM pg_roles WHERE rolname = $1"
            rights = "SELECT parname, paracl::text FROM pg_parameter_acl"
            found["schemas"] = names
            found["roles"] = [tuple(row) for row in await connection.fetch(roles, self.mover)]
            found["parameters"] = [row for row in await connection.fetch(rights) if self.mover in row["paracl"]]
            return found

    async def adopt(self, dsn: str | None = None, **order: Any) -> dict[str, Any]:
        """As `cellway adopt` does it; the report."""
        given = {"tenant_column": "customer_id", "mover": self.mover, **order}
        return await run(Order(dsn or self.admin_dsn, **given))


async def new_shop(server: PostgresServer, *, mended: bool = True) -> Shop:
    """With some customers: as its makers wrote it, or after they have done what adoption asks for."""
    name = f"shop_{secrets.token_hex(4)}"
    await database.bootstrap(server.admin_dsn, name, "shop_owner", {"shop_owner": PASSWORD})
    shop = Shop(server, name, f"{name}_mover")
    await shop.run((SHOP / "schema.sql").read_text("utf-8"), ROWS)
    if mended:
        await shop.run((SHOP / "lines.sql").read_text("utf-8"))
    return shop
