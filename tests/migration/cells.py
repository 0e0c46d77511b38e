# ruff: noqa: S608  tables, tenants and values are the test's own
"""Two databases of one schema, a tenant active in the first and imported by the second, and a mover's two ends."""

import contextlib
import itertools
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from directory import fence
from directory.fence import GUARD_TABLE
from directory.rules.tables import Schema
from migration.catalog import read_schema
from migration.copying import LANES, copy_table
from migration.ends import End
from migration.rules.names import quoted
from migration.rules.statements import delete_tenant
from migration.stepping import Stepped, step
from migration.verifying import Verified, verify
from runtime import database
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from runtime.schema import upgrade
from tests.servers import PASSWORD, copy_of

EPOCH = 7
_LATER = itertools.count(EPOCH + 1)
TOKEN = 5
ROLES = ("engine_owner", "engine_app", "engine_mover")
GRANTS = """
    GRANT USAGE ON SCHEMA cellway, {schemas} TO engine_app, engine_mover;
    GRANT EXECUTE ON FUNCTION cellway.enter TO engine_app;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO engine_mover;
    GRANT SELECT ON cellway.tables TO engine_mover;
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One database with a schema whose tables are captured."""

    server: PostgresServer
    name: str

    def dsn(self, role: str | None = None) -> str:
        """Its address for a role, or for the superuser."""
        return self.server.dsn(self.name) if role is None else self.server.dsn(self.name, role, PASSWORD)

    @asynccontextmanager
    async def session(self, role: str | None = None, tenant: str | None = None) -> AsyncIterator[Connection]:
        """A connection, for a tenant's writers if one is named."""
        settings = {} if tenant is None else {"app.tenant": tenant, "app.epoch": str(EPOCH)}
        connection = await asyncpg.connect(self.dsn(role), timeout=5, server_settings=settings)
        try:
            yield connection
        finally:
            await connection.close()

    async def execute(self, statement: str, *values: Any, tenant: str | None = None) -> None:
        """One statement, or several without values."""
        async with self.session(tenant=tenant) as connection:
            await connection.execute(statement, *values)

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What it yields."""
        async with self.session() as connection:
            return [tuple(row) for row in await connection.fetch(statement, *values)]


async def new_place(
    server: PostgresServer,
    ddl: str,
    tables: dict[str, str],
    *,
    adopted: bool = False,
    prefix: str = "engine",
    name: str = "",
) -> Place:
    """A fresh database, or that of this name; `tables` are relation → tenant column."""

    async def make(name: str) -> None:
        await database.bootstrap(
            server.admin_dsn, name, ROLES[0], dict.fromkeys(ROLES, PASSWORD), ("engine_mover",)
        )
        async with Place(server, name).session() as connection:
            await upgrade(connection, fence.COMPONENT, fence.UPGRADES)

    if name:
        await make(name)
    else:
        name = await copy_of(server, prefix, make, ROLES)
    place = Place(server, name)
    async with place.session() as connection:
        await connection.execute(ddl)
        for relation, column in tables.items():
            if adopted:
                await connection.execute("SELECT cellway.adopt_table($1::text::regclass, $2)", relation, column)
            else:
                await connection.execute(GUARD_TABLE.format(table=relation))
                await connection.execute("SELECT cellway.capture_table($1::text::regclass, $2)", relation, column)
    return place


@dataclass
class Journey:
    """A move of one tenant between two places, driven by a test."""

    source_place: Place
    destination_place: Place
    tenant: str
    source: End
    destination: End
    schema: Schema
    destination_schema: Schema
    move_id: str
    since: str = ""
    steps: list[Stepped] = field(default_factory=list)

    async def write(self, statements: str) -> None:
        """One transaction of the tenant's own, at the source."""
        async with self.source_place.session(tenant=self.tenant) as connection:
            await connection.execute(f"BEGIN; {statements}; COMMIT")

    async def told_apart(self) -> list[str]:
        """Tables that differ by the plainest comparison there is: all rows as sorted texts."""
        different = []
        for relation in self.schema.tables:
            here, there = await self.texts(relation)
            if here != there:
                different.append(relation)
        return different

    async def texts(self, relation: str, order: str | None = None) -> tuple[list[Any], list[Any]]:
        """The tenant's rows at both ends, every column as text."""
        table = self.schema.tables[relation]
        parts = ", ".join(f"{quoted(column.name)}::text" for column in table.columns)
        statement = (
            f"SELECT {parts} FROM {relation} WHERE {quoted(table.tenant)}::text = $1 ORDER BY {order or parts}"
        )
        here = await self.source_place.fetch(statement, self.tenant)
        return here, await self.destination_place.fetch(statement, self.tenant)

    async def begin(self) -> None:
        """The moment from which the first step will start."""
        async with self.source.reading() as reader:
            self.since = await reader.snapshot()
        async with self.destination.writing(TOKEN) as writing:
            await writing.note(self.since)

    async def notes(self) -> dict[str, Any]:
        """What the destination keeps of the copy's progress."""
        kept = await self.destination_place.fetch(
            "SELECT progress FROM cellway.moves WHERE move_id = $1", self.move_id
        )
        noted: dict[str, Any] = json.loads(kept[0][0])
        return noted

    async def copy(self, lanes: int = LANES) -> None:
        """All rows, each chunk at its own moment."""
        await self.begin()
        for table in self.schema.tables.values():
            await copy_table(self.source, self.destination, TOKEN, table, self.schema, self.since, lanes=lanes)

    async def spoil(self, statement: str) -> None:
        """Write to the destination behind the mover's back; $1 is the tenant."""
        async with self.destination.writing(TOKEN) as writing:
            await writing.connection.execute(statement, self.tenant)

    async def clear(self) -> None:
        """Away with all that the destination has of the tenant."""
        async with self.destination.writing(TOKEN) as writing:
            for table in self.schema.tables.values():
                await writing.connection.execute(delete_tenant(table))

    async def step(self) -> Stepped:
        """Bring the destination up to now."""
        async with self.source.reading() as reader, self.destination.writing(TOKEN) as writing:
            done = await step(reader, writing, self.schema, self.since)
        self.since = done.snapshot
        self.steps.append(done)
        return done

    async def step_and_verify(self) -> Verified:
        """The same, and a look at everything at the very snapshot of the step."""
        async with self.source.reading() as reader:
            async with self.destination.writing(TOKEN) as writing:
                done = await step(reader, writing, self.schema, self.since)
            self.since = done.snapshot
            self.steps.append(done)
            async with self.destination.reading() as there:
                return await verify(reader, there, self.schema)


@contextlib.asynccontextmanager
async def journey(
    source: Place, destination: Place, tenant: str = "acme", role: str | None = None
) -> AsyncIterator[Journey]:
    """The tenant becomes captured at the source and importing at the destination, for a new move."""
    move_id = f"mv-{secrets.token_hex(10)}"
    async with source.session() as connection:
        await connection.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", tenant, EPOCH)
        await connection.execute("SELECT cellway.take($1, $2, $3)", move_id, tenant, TOKEN)
        async with connection.transaction():
            await connection.execute("SELECT cellway.act($1, $2)", move_id, TOKEN)
            await connection.execute("SELECT cellway.set_captured(true)")
    async with destination.session() as connection:
        await connection.execute(
            "SELECT cellway.set_fence($1, $2, 'importing', $3)", tenant, next(_LATER), move_id
        )
        await connection.execute("SELECT cellway.take($1, $2, $3)", move_id, tenant, TOKEN)
    async with AsyncExitStack() as stack:
        ends = [
            await stack.enter_async_context(End(place.dsn(role), name=name, tenant_id=tenant, move_id=move_id))
            for place, name in ((source, "the source"), (destination, "the destination"))
        ]
        schemas = []
        for end in ends:
            async with end.reading() as reader:
                schemas.append(await read_schema(reader.connection))
        yield Journey(source, destination, tenant, *ends, *schemas, move_id)
