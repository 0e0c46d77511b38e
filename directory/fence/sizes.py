"""How much a tenant holds in a database: counted as far as that is cheap; beyond, as the planner believes."""

import json
import time
from collections.abc import Sequence

import asyncpg

from directory.control.contract import TableSize
from directory.fence.catalog import QUERIES, Listed
from runtime.database import Connection

MOST_COUNTED = 250_000
"""Rows of one table; more than a table without a key may have, so about those nothing is guessed."""
COUNT_SECONDS = 3.0
"""For counting, in all tables together."""
LEAST_MS = 20
BELIEVE_MS = 1000
"""For asking the planner, who does not look at rows."""


async def read_sizes(
    connection: Connection,
    listed: Sequence[Listed],
    *,
    most_counted: int = MOST_COUNTED,
    seconds: float = COUNT_SECONDS,
) -> list[TableSize]:
    """Of the tenant whose transaction it is, table by table. Wants search_path = pg_catalog.

    A table that has more rows than `most_counted`, or for which there was no time, is estimated.
    """
    end = time.monotonic() + seconds
    relations, tenants = [each.relation for each in listed], [each.tenant for each in listed]
    sizes = []
    for row in await connection.fetch(QUERIES["size_statements"], relations, tenants):
        counted = await _counted(connection, row["count"], most_counted + 1, end - time.monotonic())
        if counted is not None and counted["rows"] <= most_counted:
            size = TableSize(relation=row["relation"], rows=counted["rows"], bytes=counted["bytes"])
        else:
            size = await _believed(connection, row["relation"], row["believe"], counted)
        sizes.append(size)
    return sizes


async def _counted(connection: Connection, statement: str, most: int, seconds: float) -> asyncpg.Record | None:
    """None: not in so many seconds."""
    if seconds <= 0:
        return None
    try:
        async with connection.transaction():
            await connection.execute(QUERIES["allow_milliseconds"], str(max(LEAST_MS, int(seconds * 1000))))
            return await connection.fetchrow(statement, most)
    except asyncpg.QueryCanceledError:
        return None


async def _believed(
    connection: Connection, relation: str, statement: str, counted: asyncpg.Record | None
) -> TableSize:
    """By the planner's statistics; no fewer than were counted, and as wide as those."""
    await connection.execute(QUERIES["allow_milliseconds"], str(BELIEVE_MS))
    plan = json.loads(await connection.fetchval(statement))[0]["Plan"]
    rows, width = int(plan["Plan Rows"]), int(plan["Plan Width"])
    if counted is not None and counted["rows"]:
        rows, width = max(rows, counted["rows"]), counted["bytes"] / counted["rows"]
    return TableSize(relation=relation, rows=rows, bytes=round(rows * width), estimated=True)
