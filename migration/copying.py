"""The first copy of a tenant's rows, chunk by chunk.

A chunk is a range of the key and one transaction at the destination, which keeps the progress too; so whoever comes
after a crash goes on behind it. Chunks are read at different moments. That is exact nevertheless: the first step
starts from a snapshot that is older than all of them, and reads again whatever was written since.

Two rows of different moments may have the same unique value, though (one gave it up, the other took it between the
two chunks). Then the destination refuses, and the chunk comes once more together with a step, both of one moment and
in one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from migration.catalog import QUERIES
from migration.ends import End, Reader, Writing
from migration.errors import Clash, translated
from migration.rules import statements
from migration.rules.chunks import Chunk, Progress, progress_key
from migration.rules.tables import Schema, Table
from migration.stepping import step
from migration.streams import Pipe, both, receive, send

LANES = 2
"""Chunks of one table that are on their way at once: one is being committed and cut while the other is copied."""
AGAIN_ROWS = 20_000
"""Of a chunk that comes with a step: the keys of its rows are held in memory."""


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


async def copy_chunk(reader: Reader, writing: Writing, table: Table, chunk: Chunk) -> Copied:
    """The chunk's rows at the reader's snapshot, into the writer's transaction.

    Clash: a row of another moment, or of another tenant, has a unique value of theirs.
    """
    await _set_bounds(reader, table, chunk)
    query = statements.rows_of_chunk(table, after=chunk.after is not None, to=chunk.to is not None)
    pipe = Pipe()
    _, rows = await both(send(reader, table, query, pipe), receive(writing, table, pipe))
    return Copied(rows, pipe.bytes)


async def copy_chunk_again(reader: Reader, writing: Writing, table: Table, chunk: Chunk) -> Copied:
    """The same in place of whatever rows with these keys are there: steps bring rows of chunks that are yet to come.

    Which keys those are, the source says: the two ends may hold different orders of texts.
    """
    if table.key:
        await _set_bounds(reader, table, chunk)
        query = statements.keys_of_chunk(table, after=chunk.after is not None, to=chunk.to is not None)
        with translated(reader.where):
            keys = await reader.connection.fetch(query)
        columns = [list(column) for column in zip(*(row["key"] for row in keys), strict=True)]
        if keys:
            with translated(writing.where):
                await writing.connection.execute(statements.delete_keys([table], noted=False), *columns)
    else:
        with translated(writing.where):
            await writing.connection.execute(statements.delete_tenant(table))
    return await copy_chunk(reader, writing, table, chunk)


async def _set_bounds(reader: Reader, table: Table, chunk: Chunk) -> None:
    if not table.order or chunk == Chunk():
        return
    bounds = [None if bound is None else list(bound) for bound in (chunk.after, chunk.to)]
    with translated(reader.where):
        await reader.connection.execute(QUERIES["set_bounds"], *bounds)


@dataclass(slots=True)
class _Cutting:
    """Hands the chunks of a table to lanes, in order; they also commit in order, so that progress has no holes."""

    progress: Progress
    after: tuple[str, ...] | None
    at_end: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the chunk that was cut last is committed."""


class Copying:
    """The first copy of all tables. Invariant: `since` is no later than any chunk's snapshot."""

    def __init__(
        self,
        source: End,
        destination: End,
        token: int,
        schema: Schema,
        since: str,
        *,
        before_chunk: Callable[[], Awaitable[None]] | None = None,
        lanes: int = LANES,
    ) -> None:
        """`before_chunk` may wait, to spare the source."""
        self.since = since
        """The next step starts from here."""
        self._source, self._destination, self._token, self._schema = source, destination, token, schema
        self._before_chunk = before_chunk
        self._lanes = lanes

    async def copy_table(self, table: Table, progress: Progress | None = None) -> Progress:
        """All that is left of one table."""
        done = progress or Progress()
        while not done.done:
            cutting = _Cutting(done, done.after)
            cutting.last.set()
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._lanes if table.order else 1):
                        group.create_task(self._lane(table, cutting))
                return cutting.progress
            except BaseExceptionGroup as failed:
                first = failed.exceptions[0]
                if not isinstance(first, Clash):
                    raise first from first.__cause__
            done = await self._with_step(table, cutting.progress)
        return done

    async def _lane(self, table: Table, cutting: _Cutting) -> None:
        while not cutting.at_end:
            if self._before_chunk is not None:
                await self._before_chunk()
            await self._chunk(table, cutting)

    async def _chunk(self, table: Table, cutting: _Cutting) -> None:
        async with (
            self._destination.writing(self._token, durable=False) as writing,
            self._source.reading() as reader,
        ):
            async with cutting.lock:
                if cutting.at_end:
                    return
                chunk = await next_chunk(reader, table, cutting.after, cutting.progress.chunk_rows)
                cutting.after, cutting.at_end = chunk.to, chunk.last
                before, cutting.last = cutting.last, asyncio.Event()
                committed = cutting.last
            copied = await copy_chunk(reader, writing, table, chunk)
            await before.wait()
            progress = cutting.progress.plus(chunk, copied.rows, copied.bytes)
            await writing.note(progress={progress_key(table.relation): progress.as_json()})
        cutting.progress = progress
        committed.set()

    async def _with_step(self, table: Table, done: Progress) -> Progress:
        """The next chunk and a step, of one moment: a clash then is with another tenant's row."""
        async with self._destination.writing(self._token) as writing, self._source.reading() as reader:
            stepped = await step(reader, writing, self._schema, self.since)
            chunk = await next_chunk(reader, table, done.after, min(done.chunk_rows, AGAIN_ROWS))
            copied = await copy_chunk_again(reader, writing, table, chunk)
            progress = done.plus(chunk, copied.rows, copied.bytes)
            await writing.note(progress={progress_key(table.relation): progress.as_json()})
        self.since = stepped.snapshot
        return progress
