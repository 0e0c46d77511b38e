"""Two Postgres servers with the same table, and two million rows of two tenants in one of them."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from directory import fence
from migration.ends import End
from runtime import database
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from runtime.schema import upgrade

OWNER, MOVER = "owner", "mover"
TENANT, OTHER = "acme", "other"
MOVE, TOKEN = "mv-measured", 1
BASE = "shop"
SERVER = {"wal_level": "logical", "max_wal_size": "4GB", "shared_buffers": "256MB"}
TABLE = """
    CREATE TABLE public.{name} (
        tenant_id text NOT NULL, id bigint NOT NULL, created_at timestamptz NOT NULL, amount integer NOT NULL,
        payload text NOT NULL, PRIMARY KEY (tenant_id, id));
    CREATE INDEX ON public.{name} (tenant_id, created_at);
"""
FILL = """
    INSERT INTO public.orders
    SELECT CASE WHEN n % 2 = 0 THEN $2 ELSE $3 END, n, now() - n * interval '1 second', n % 1000,
           md5(n::text) || md5((n + 1)::text)
    FROM generate_series(1, 2 * $1::bigint) n
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Source and destination."""

    source: PostgresServer
    destination: PostgresServer
    password: str
    rows: int
    """Of the tenant that moves; the other one has as many."""

    def dsn(self, server: PostgresServer, role: str) -> str:
        """Of the database, as a role."""
        return server.dsn(BASE, role, self.password)

    @contextlib.asynccontextmanager
    async def admin(self, server: PostgresServer) -> AsyncIterator[Connection]:
        """A superuser's connection."""
        connection = await asyncpg.connect(server.dsn(BASE), timeout=10)
        try:
            yield connection
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def ends(self) -> AsyncIterator[tuple[End, End]]:
        """As a mover sees them."""
        async with (
            End(self.dsn(self.source, MOVER), name="source", tenant_id=TENANT, move_id=MOVE) as source,
            End(self.dsn(self.destination, MOVER), name="destination", tenant_id=TENANT, move_id=MOVE) as there,
        ):
            yield source, there

    async def clear(self) -> None:
        """No row at the destination, and nothing in the background at either server."""
        async with self.admin(self.destination) as there:
            await there.execute(
                "ALTER TABLE orders DISABLE TRIGGER cellway_guard; TRUNCATE orders; "
                "ALTER TABLE orders ENABLE ALWAYS TRIGGER cellway_guard; TRUNCATE plain; "
                "TRUNCATE single; CHECKPOINT"
            )
        async with self.admin(self.source) as here:
            await here.execute("CHECKPOINT")


@contextlib.contextmanager
def servers(folder: Path, rows: int) -> Iterator[Stage]:
    """Both run until the end of the block."""
    password = secrets.token_hex(8)
    with (
        PostgresServer(folder / "source" / "data", password, settings=SERVER) as source,
        PostgresServer(folder / "destination" / "data", password, settings=SERVER) as destination,
    ):
        yield Stage(source, destination, password, rows)


async def prepare(stage: Stage) -> None:
    """Schema at both ends, rows at the source; the destination's fence is open for the mover alone."""
    for server in (stage.source, stage.destination):
        roles = dict.fromkeys((OWNER, MOVER), stage.password)
        await database.bootstrap(server.admin_dsn, BASE, OWNER, roles, (MOVER,))
        owner = await asyncpg.connect(stage.dsn(server, OWNER), timeout=10)
        try:
            await upgrade(owner, fence.COMPONENT, fence.UPGRADES)
            await owner.execute("".join(TABLE.format(name=name) for name in ("orders", "plain", "single")))
            await owner.execute(fence.GUARD_TABLE.format(table="public.orders"))
            await owner.execute("SELECT cellway.capture_table('public.orders', 'tenant_id')")
            await owner.execute(
                f"GRANT USAGE ON SCHEMA cellway TO {MOVER}; "
                f"GRANT ALL ON orders, plain, cellway.tables TO {MOVER}; "
                f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO {MOVER}"
            )
            state = "active" if server is stage.source else "importing"
            await owner.execute("SELECT cellway.set_fence($1, 1, $2, $3)", TENANT, state, MOVE)
            await owner.execute("SELECT cellway.take($1, $2, $3)", MOVE, TENANT, TOKEN)
        finally:
            await owner.close()
    async with stage.admin(stage.source) as here:
        await here.execute("ALTER TABLE orders DISABLE TRIGGER ALL")
        await here.execute(FILL, stage.rows, TENANT, OTHER, timeout=600)
        await here.execute("ALTER TABLE orders ENABLE ALWAYS TRIGGER cellway_guard")
        await here.execute("INSERT INTO single SELECT * FROM orders WHERE tenant_id = $1", TENANT, timeout=600)
        for table in ("orders", "single"):
            await here.execute(f"VACUUM ANALYZE {table}")
