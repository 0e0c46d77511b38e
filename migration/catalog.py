"""Reads from a database's catalog which tables belong to tenants, and what they are made of."""

import asyncpg

from migration.errors import Obstacle
from migration.rules.tables import Check, Column, ForeignKey, Schema, Sequence, Table, Unique
from runtime.database import Connection
from runtime.queries import Queries

QUERIES = Queries("migration")
DIFFERENCE = QUERIES["read_difference"].format(fingerprint=QUERIES["read_fingerprint"])
_TABLE_KINDS = ("r",)


async def read_schema(connection: Connection) -> Schema:
    """Of all tables in cellway.tables. Wants search_path = pg_catalog, so that types come with their schemas.

    Obstacle: one of them is gone, or is no plain table.
    """
    # First: what changes while the rest is read is noticed later, and never taken for what was read.
    fingerprint = await read_fingerprint(connection)
    found = await connection.fetch(QUERIES["read_tables"])
    columns = _by_relation(await connection.fetch(QUERIES["read_columns"]))
    uniques = _by_relation(await connection.fetch(QUERIES["read_uniques"]))
    foreign_keys = _by_relation(await connection.fetch(QUERIES["read_foreign_keys"]))
    checks = _by_relation(await connection.fetch(QUERIES["read_checks"]))
    sequences = await connection.fetch(QUERIES["read_sequences"])
    tables = {}
    for row in found:
        relation = row["relation"]
        if row["kind"] not in _TABLE_KINDS:
            raise Obstacle(
                f"{relation} is listed in cellway.tables, but is no plain table: "
                + (
                    "it is gone, or has another name: release it there, and capture what is there now"
                    if row["kind"] is None
                    else "a writer may name the whole or a part, and capture sees one of them: make it one table"
                )
            )
        tables[relation] = Table(
            relation=relation,
            schema=row["schema"],
            name=row["name"],
            tenant=row["tenant"],
            bound=row["bound"],
            key=tuple(row["key"]),
            columns=tuple(_column(column) for column in columns.get(relation, ())),
            uniques=tuple(_unique(unique) for unique in uniques.get(relation, ())),
            foreign_keys=tuple(_foreign_key(foreign_key) for foreign_key in foreign_keys.get(relation, ())),
            checks=tuple(Check(check["name"], check["definition"]) for check in checks.get(relation, ())),
            unlogged=row["unlogged"],
            unfit=row["unfit"],
        )
    return Schema(
        tables,
        tuple(Sequence(row["relation"], row["table"], row["column"], row["ascending"]) for row in sequences),
        fingerprint,
        await connection.fetchval(QUERIES["read_encoding"]),
    )


async def read_fingerprint(connection: Connection) -> str:
    """Of the same tables, to be compared with what `read_schema` found in this database."""
    fingerprint: str = await connection.fetchval(QUERIES["read_fingerprint"])
    return fingerprint


def _by_relation(rows: list[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    found: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["relation"], []).append(row)
    return found


def _column(row: asyncpg.Record) -> Column:
    return Column(
        name=row["name"],
        type=row["type"],
        plain_type=row["plain_type"],
        base=row["base"],
        binary=row["binary"],
        nullable=row["nullable"],
        filled=row["filled"],
        generated=row["generated"],
        expression=row["expression"] or "",
        folding=row["folding"],
        operators=tuple(row["operators"]) or ("=", ">", "<="),
        labels=tuple(row["labels"]),
        made_of=row["made_of"],
    )


def _unique(row: asyncpg.Record) -> Unique:
    return Unique(row["name"], tuple(row["columns"]), row["deferrable"], row["definition"])


def _foreign_key(row: asyncpg.Record) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        referenced=row["referenced"],
        referenced_columns=tuple(row["referenced_columns"]),
        shared=row["shared"],
    )
