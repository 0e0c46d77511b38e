"""Copies rows from one end to the other as COPY writes them: no row is decoded here.

A chunk is a range of the key, and one transaction at the destination, which keeps the progress too. Chunks may be
read at different moments: after the first step from the earliest one, the destination is exact.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from migration.catalog import QUERIES
from migration.ends import End, Reader, Writing
from migration.errors import translated
from migration.pipe import Pipe
from migration.rules import statements
from migration.rules.chunks import Chunk, Progress, progress_key
from migration.rules.tables import Schema, Table

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a chunk was."""

    rows: int
    bytes: int


async def next_chunk(reader: Reader, table: Table, after: tuple[str, ...] | None, rows: int) -> Chunk:
    """The next `rows` rows above `after`, or what is left. One look along the index."""
    if not table.order:
        return Chunk()
    statement = statements.next_bound(table, first=after is None)
    bound = () if after is None else (list(after),)
    with translated(reader.where):
        to = await reader.connection.fetchval(statement, rows, *bound)
    return Chunk(after, None if to is None else tuple(to))


async def copy_chunk(reader: Reader, writing: Writing, table: Table, chunk: Chunk, *, again: bool = False) -> Copied:
    """The chunk's rows at the reader's snapshot, into the writer's transaction.

    Clash: a row from another moment, or of another tenant, has a unique value of theirs. `again`: rows with the same
    keys are replaced, for a chunk that comes in the same transaction as a step, from the same snapshot.
    """
    bounds = [None if bound is None else list(bound) for bound in (chunk.after, chunk.to)]
    if table.order:
        with translated(reader.where):
            await reader.connection.execute(QUERIES["set_bounds"], *bounds)
    query = statements.rows_of_chunk(table, after=chunk.after is not None, to=chunk.to is not None)
    pipe = Pipe()
    _, rows = await both(
        send(reader, table, query, pipe), receive(writing, table, pipe, staged=again or table.relation in writing.staged)
    )
    return Copied(rows, pipe.bytes)


async def send(reader: Reader, table: Table, query: str, pipe: Pipe) -> None:
    """What the query yields, into the pipe."""
    with translated(reader.where):
        await reader.connection.copy_from_query(query, output=pipe.put, format=table.format)
    pipe.close()


async def receive(writing: Writing, table: Table, pipe: Pipe, *, staged: bool = False) -> int:
    """The pipe's rows into the table; their number."""
    columns = [column.name for column in table.copied]
    with translated(writing.where):
        if not staged:
            said = await writing.connection.copy_to_table(
                table.name, schema_name=table.schema, columns=columns, source=pipe, format=table.format
            )
            return _rows(said)
        await writing.connection.execute(statements.stage(table))
        said = await writing.connection.copy_to_table(
            "cellway_staged", schema_name="pg_temp", columns=columns, source=pipe, format=table.format
        )
        await writing.connection.execute(statements.unstage(table))
        return _rows(said)


def _rows(said: str) -> int:
    return int(said.rpartition(" ")[2])


async def both(first: Coroutine[Any, Any, FirstT], second: Coroutine[Any, Any, SecondT]) -> tuple[FirstT, SecondT]:
    """The results of two that need each other: when one fails, the other is stopped, and that failure is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            one, two = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    return one.result(), two.result()


async def copy_table(
    source: End,
    destination: End,
    token: int,
    table: Table,
    schema: Schema,
    since: str,
    progress: Progress | None = None,
    *,
    before_chunk: Callable[[], Awaitable[None]] | None = None,
) -> Progress:
    """All chunks of one table from where it was left. `since`: a snapshot no later than of any chunk."""
    done = progress or Progress()
    while not done.done:
        if before_chunk is not None:
            await before_chunk()
        async with source.reading() as reader, destination.writing(token, durable=False) as writing:
            chunk = await next_chunk(reader, table, done.after, done.chunk_rows)
            copied = await copy_chunk(reader, writing, table, chunk)
            done = done.plus(chunk, copied.rows, copied.bytes)
            await writing.note(progress={progress_key(table.relation): done.as_json()})
    return done
