"""Reads from a database's catalog which tables belong to tenants, and what they are made of."""

from directory.fence.catalog import Listed, NoPlainTable, read_encoding, read_tables
from directory.rules.tables import Schema, Sequence
from migration.errors import Obstacle
from runtime.database import Connection
from runtime.queries import Queries

QUERIES = Queries("migration")
DIFFERENCE = QUERIES["read_difference"].format(fingerprint=QUERIES["read_fingerprint"])


async def read_listed(connection: Connection) -> list[Listed]:
    """The tables in cellway.tables."""
    return [Listed(**row) for row in await connection.fetch(QUERIES["read_listed"])]


async def read_schema(connection: Connection) -> Schema:
    """Of all tables in cellway.tables. Wants search_path = pg_catalog, so that types come with their schemas.

    Obstacle: one of them is gone, or is no plain table.
    """
    # First: what changes while the rest is read is noticed later, and never taken for what was read.
    fingerprint = await read_fingerprint(connection)
    try:
        tables = await read_tables(connection, await read_listed(connection))
    except NoPlainTable as error:
        raise Obstacle(str(error)) from error
    sequences = await connection.fetch(QUERIES["read_sequences"])
    return Schema(
        tables,
        tuple(Sequence(row["relation"], row["table"], row["column"], row["ascending"]) for row in sequences),
        fingerprint,
        await read_encoding(connection),
    )


async def read_fingerprint(connection: Connection) -> str:
    """Of the same tables, to be compared with what `read_schema` found in this database."""
    fingerprint: str = await connection.fetchval(QUERIES["read_fingerprint"])
    return fingerprint
