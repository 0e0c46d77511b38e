"""Reads from a database's catalog what the tables are made of whose rows belong to tenants."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from directory.rules.tables import Check, Column, ForeignKey, Table, Unique
from runtime.database import Connection
from runtime.queries import Queries

QUERIES = Queries("directory.fence")
_TABLE_KINDS = ("r",)


class NoPlainTable(Exception):
    """What is listed as a table of tenants is gone, or is made of parts."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table whose rows belong to tenants: `relation` is quoted, with its schema.

    `tenant` is the column that says whose a row is; `bound`: writers say it too, before they write.
    """

    relation: str
    tenant: str
    bound: bool = True


async def read_tables(connection: Connection, listed: Sequence[Listed]) -> dict[str, Table]:
    """By relation. Wants search_path = pg_catalog, so that types come with their schemas. NoPlainTable."""
    relations = [each.relation for each in listed]
    found = await connection.fetch(
        QUERIES["read_tables"], relations, [each.tenant for each in listed], [each.bound for each in listed]
    )
    columns = _by_relation(await connection.fetch(QUERIES["read_columns"], relations))
    uniques = _by_relation(await connection.fetch(QUERIES["read_uniques"], relations))
    foreign_keys = _by_relation(await connection.fetch(QUERIES["read_foreign_keys"], relations))
    checks = _by_relation(await connection.fetch(QUERIES["read_checks"], relations))
    tables = {}
    for row in found:
        relation = row["relation"]
        if row["kind"] not in _TABLE_KINDS:
            raise NoPlainTable(
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
    return tables


async def read_encoding(connection: Connection) -> str:
    """Of the database's texts."""
    encoding: str = await connection.fetchval(QUERIES["read_encoding"])
    return encoding


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
