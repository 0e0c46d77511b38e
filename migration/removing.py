"""Takes a tenant's rows, or what was logged of it, out of a database; a bite at a time, so nothing waits long."""

import asyncio
import time

from directory.rules.tables import Schema
from migration.catalog import QUERIES
from migration.copying import without_rows
from migration.ends import End
from migration.errors import translated
from migration.rules import statements

BITE = 5000
ROWS_BITE = 1000
REST = 1.0
"""So many times as long as a bite of rows took, nothing is done: nobody waits for these rows to go."""
MOST_REST_SECONDS = 1.0
ALL = "9223372036854775807:9223372036854775807:"
"""A snapshot that sees every transaction."""


async def remove_rows(end: End, token: int, schema: Schema) -> int:
    """Every row of the tenant, for good; how many went. The fence must not be open for it."""
    removed = 0
    async with end.reading() as reader:
        empty = {table.relation for table in await without_rows(reader, tuple(schema.tables.values()))}
    for table in schema.tables.values():
        if table.relation in empty:
            continue
        statement = statements.delete_some(table)
        gone = ROWS_BITE
        while gone == ROWS_BITE:
            began = time.monotonic()
            async with end.writing(token, durable=False) as writing:
                with translated(end.name):
                    said = await writing.connection.execute(statement, ROWS_BITE)
            gone = int(said.rpartition(" ")[2])
            removed += gone
            if gone:
                await asyncio.sleep(min(MOST_REST_SECONDS, REST * (time.monotonic() - began)))
    async with end.writing(token) as writing:
        await writing.note()  # carries the others to the disk: what is told to be gone does not come back
    return removed


async def forget_notes(end: End, token: int) -> None:
    """How far the rows were."""
    async with end.writing(token) as writing:
        with translated(end.name):
            await writing.connection.execute(QUERIES["forget_notes"], end.move_id, token)


async def forget_logged(end: End, token: int, seen: str = ALL) -> None:
    """What was logged of the tenant and this snapshot sees, for good. Superseded: it may be another move's now."""
    gone = BITE
    while gone == BITE:
        async with end.writing(token) as writing:
            with translated(end.name):
                gone = await writing.connection.fetchval(QUERIES["forget_logged"], end.tenant_id, seen, BITE)
