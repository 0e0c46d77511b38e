"""Has a planner know of a tenant's rows where it believes that there are hardly any.

Statistics are of when they were made: of before the tenant came, or of when the table was all but empty. With
them any index seems to be as good as the key's, and a step reads all rows for each that it looks for; so do the
tenant's own statements in its new home, until the server gets round to it.
"""

import json
from collections.abc import Mapping

import asyncpg

from directory.rules.tables import Schema
from migration.catalog import QUERIES
from migration.ends import End
from migration.rules import statements
from runtime import logs

log = logs.get("migration.statistics")
LARGE_ROWS = 1000
"""Of fewer, nobody notices that they are all read."""
MOST_TIMES = 10
"""So many times what the planner believes may be there: statistics are never exact."""


async def refresh(end: End, schema: Schema, rows: Mapping[str, int]) -> list[str]:
    """Of tables by how many `rows` of them the tenant has, where the planner is wrong about it; which they were.

    It helps, and decides nothing: where it is refused, it is only told. Unavailable.
    """
    refreshed = []
    for relation, number in rows.items():
        if number < LARGE_ROWS:
            continue
        async with end.connected() as connection:
            try:
                plan = json.loads(await connection.fetchval(statements.expected_rows(schema.tables[relation])))
                if number <= MOST_TIMES * plan[0]["Plan"]["Plan Rows"]:
                    continue
                await connection.execute(QUERIES["refresh_statistics"], relation)
            except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError) as error:
                log.info("statistics_not_refreshed", cell=end.name, relation=relation, reason=str(error))
                break  # a database whose fence does not know of it yet
            refreshed.append(relation)
    return refreshed
