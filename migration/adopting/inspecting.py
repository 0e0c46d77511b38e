"""Reads the catalogue of a database that is not ours, and looks at rows where it does not tell.

Looks at rows are bounded in time; one that takes longer is told, and nothing is assumed of it.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import asyncpg

from migration.adopting.errors import Usage
from migration.adopting.rules.deeds import MADE
from migration.adopting.rules.findings import OLDEST_VERSION, Standing
from migration.adopting.rules.found import Adopted, Column, Database, Reference, Role, Seen, Table, Unique, Wishes
from migration.rules.names import quoted
from runtime.database import Connection
from runtime.queries import Queries

QUERIES = Queries("migration.adopting")
LOOK_SECONDS = 30.0
ResultT = TypeVar("ResultT")


async def inspect(connection: Connection, mover: str) -> Database:
    """What the catalogue tells. Wants search_path = pg_catalog, so that types come with their schemas."""
    about = await connection.fetchrow(QUERIES["read_database"])
    if about is None:
        raise RuntimeError("a session has a role")
    rights = await connection.fetchrow(QUERIES["read_public_rights"])
    if rights is None:
        raise RuntimeError("everybody has some rights, or none")
    async with as_owner(connection, about["fence_owner"] if about["superuser"] else None, about["role"]):
        adopted = await connection.fetch(QUERIES["read_adopted"]) if about["fenced"] else []
        staying = await connection.fetch(QUERIES["read_staying"]) if about["steady"] else []
    return Database(
        **{name: about[name] for name in ("name", "version", "version_number", "standby", "role", "superuser")},
        fence_owner=about["fence_owner"],
        fenced=about["fenced"],
        tables=await _tables(connection),
        others=[(row["relation"], row["kind"]) for row in await connection.fetch(QUERIES["read_others"])],
        adopted={row["relation"]: Adopted(row["tenant"], row["bound"]) for row in adopted},
        staying=frozenset(row["relation"] for row in staying),
        mover=await _mover(connection, mover, about["version_number"]),
        public_connects=rights["connect"],
        public_schemas=frozenset(rights["schemas"]),
    )


@contextlib.asynccontextmanager
async def as_owner(connection: Connection, owner: str | None, role: str) -> AsyncIterator[None]:
    """A transaction in which we are who owns the fence: its functions and views are the owner's to write, and a
    superuser must not run them."""
    async with connection.transaction():
        if owner is not None and owner != role:
            await connection.execute(f"SET LOCAL ROLE {quoted(owner)}")
        yield
        await connection.execute("SET LOCAL ROLE NONE")


async def _tables(connection: Connection) -> Mapping[str, Table]:
    columns = _by_relation(await connection.fetch(QUERIES["read_columns"]))
    uniques = _by_relation(await connection.fetch(QUERIES["read_uniques"]))
    references = _by_relation(await connection.fetch(QUERIES["read_references"]))
    plain = (
        *(
            "relation",
            "name",
            "schema",
            "partition",
            "inherits",
            "unlogged",
            "row_security",
            "hidden",
            "rules",
            "owner",
        ),
        *("ours", "owner_creates", "rows", "bytes", "key", "capture", "intact", "guarded"),
    )
    return {
        row["relation"]: Table(
            **{name: row[name] for name in plain},
            partitioned=row["kind"] == "p",
            triggers=tuple(row["triggers"]),
            indexed=frozenset(row["indexed"]),
            columns={one["name"]: _column(one) for one in columns.get(row["relation"], ())},
            uniques=tuple(
                Unique(one["name"], one["primary"], tuple(one["columns"]))
                for one in uniques.get(row["relation"], ())
            ),
            references=tuple(
                Reference(one["name"], tuple(one["columns"]), one["referenced"], tuple(one["referenced_columns"]))
                for one in references.get(row["relation"], ())
            ),
        )
        for row in await connection.fetch(QUERIES["read_tables"])
    }


def _column(row: asyncpg.Record) -> Column:
    names = ("name", "type", "base", "enum", "extension", "nullable", "generated", "sequence")
    counted = ("sequence_owned", "sequence_bounded")
    return Column(**{name: row[name] for name in (*names, *counted)})


def _by_relation(rows: list[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    found: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["relation"], []).append(row)
    return found


async def _mover(connection: Connection, mover: str, version: int) -> Role | None:
    row = await connection.fetchrow(QUERIES["read_mover"], mover, MADE)
    if row is None:
        return None
    able = version >= OLDEST_VERSION and await connection.fetchval(QUERIES["may_replicate"], mover)
    return Role(row["login"], row["past_row_security"], bool(able), row["made"])


def resolved(found: Database, tenant_column: str, columns: Mapping[str, str], left: list[str]) -> Wishes:
    """What was asked for, by relations. Usage: there is no such table or column, or several."""
    stay = frozenset(_relation(found, said) for said in left)
    known = {relation: adopted.tenant for relation, adopted in found.adopted.items() if relation in found.tables}
    wanted = {}
    for said, column in columns.items():
        relation = _relation(found, said)
        if column not in found.tables[relation].columns:
            raise Usage(f"{relation} has no column {column}")
        wanted[relation] = column
    if both := stay & wanted.keys():
        raise Usage(f"{', '.join(sorted(both))} cannot both move and stay")
    # What was said before need not be said again.
    stay |= found.staying & found.tables.keys() - wanted.keys()
    return Wishes(tenant_column, {**known, **wanted}, stay)


def _relation(found: Database, said: str) -> str:
    fitting = [
        relation
        for relation, table in found.tables.items()
        if said in (relation, table.name, f"{table.schema}.{table.name}")
    ]
    if len(fitting) != 1:
        raise Usage(f"there is no table {said}" if not fitting else f"{said} may be {' or '.join(fitting)}")
    return fitting[0]


async def look(connection: Connection, found: Database, places: Mapping[str, Standing]) -> Seen:
    """At the rows. In one transaction a look; one that takes longer than it may is told."""
    looker = _Looker(connection)
    tenants, nobodys, across = {}, set(), set()
    for relation, standing in places.items():
        table = found.tables[relation]
        if standing.tenant is None:
            continue
        column = table.columns[standing.tenant]
        tenants[relation] = frozenset(await looker.names(table, column))
        where = {"table": relation, "column": quoted(column.name)}
        if column.nullable and await looker.exists(relation, "has_nobodys_rows", where):
            nobodys.add(relation)
        for reference in table.references:
            other = places.get(reference.referenced)
            if other is None or other.tenant is None or _holds(reference, column.name, other.tenant):
                continue
            equal = " AND ".join(
                f"b.{quoted(there)} = a.{quoted(here)}"
                for here, there in zip(reference.columns, reference.referenced_columns, strict=True)
            )
            what = {**where, "referenced": reference.referenced, "equal": equal, "other": quoted(other.tenant)}
            if await looker.exists(relation, "refers_across", what):
                across.add((relation, reference.name))
    return Seen(tenants, frozenset(nobodys), frozenset(across), tuple(looker.unseen))


def _holds(reference: Reference, tenant: str, other: str) -> bool:
    """The key itself says that both are the same tenant's."""
    return (tenant, other) in zip(reference.columns, reference.referenced_columns, strict=True)


async def tenants_of(connection: Connection, table: Table, column: Column) -> list[str]:
    """Whose rows it has."""
    query = QUERIES["hop_tenants" if column.name in table.indexed else "scan_tenants"]
    rows = await connection.fetch(query.format(table=table.relation, column=quoted(column.name)))
    return [row["tenant"] for row in rows]


class _Looker:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.unseen: list[str] = []

    async def names(self, table: Table, column: Column) -> list[str]:
        try:
            return await tenants_of(self._connection, table, column)
        except asyncpg.QueryCanceledError:
            self.unseen.append(table.relation)
            return []

    async def exists(self, relation: str, query: str, what: Mapping[str, Any]) -> bool:
        try:
            return bool(await self._connection.fetchval(QUERIES[query].format(**what)))
        except asyncpg.QueryCanceledError:
            self.unseen.append(relation)
            return False
