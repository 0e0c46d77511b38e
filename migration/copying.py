"""The first copy of a tenant's rows, chunk by chunk.

A chunk is a range of the key and one transaction at the destination, which keeps the progress too; so whoever
comes after a crash goes on behind it. Chunks are read at different moments. That is exact nevertheless: the first
step starts from a snapshot that is older than all of them, and reads again whatever was written since.

Two rows of different moments may have the same unique value, though: one gave it up, the other took it between the
two chunks. Then the destination refuses, and the chunk comes once more together with a step, both of one moment
and in one transaction.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from directory.rules.tables import Schema, Table
from migration import fences
from migration.catalog import QUERIES
from migration.ends import End, Reader, Writing
from migration.errors import Clash, translated
from migration.pacing import Turns, Waiting
from migration.rules import statements
from migration.rules.chunks import Chunk, Progress, progress_key
from migration.stepping import step
from migration.streams import Pipe, both, receive, send

LANES = 2
"""Chunks of one table that are on their way at once: one is being committed and cut while the other is copied."""
AGAIN_ROWS = 50_000
"""Of a chunk that comes with a step: the keys of its rows are held in memory."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a chunk was."""

    rows: int
    bytes: int


async def without_rows(reader: Reader, tables: Sequence[Table]) -> list[Table]:
    """Those of which the tenant has none: most, of most tenants."""
    if not tables:
        return []
    with translated(reader.where):
        held = await reader.connection.fetchval(statements.holds_any(tables))
    return [table for table, any_rows in zip(tables, held, strict=True) if not any_rows]


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
    """The same in place of rows with these keys: steps bring rows of chunks that are yet to come.

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


async def copy_table(
    source: End,
    destination: End,
    token: int,
    table: Table,
    schema: Schema,
    since: str,
    progress: Progress | None = None,
    *,
    before_chunk: Callable[[Progress], Awaitable[None]] | None = None,
    turns: Turns | None = None,
    lanes: int = LANES,
) -> Progress:
    """All that is left of one table.

    `since`: a snapshot no later than any chunk's, from which the next step will start. It may start from it even
    when a clash made a step necessary here: what is read again too often does no harm. `before_chunk` is told what
    is committed, before each chunk and while one waits for its turn (`turns`), which spares the source.
    """
    cutting = _Cutting(source, destination, token, table, progress or Progress(), before_chunk, turns)
    if cutting.progress.done:
        return cutting.progress
    with contextlib.suppress(Clash):
        await cutting.run(lanes)
    done = cutting.progress
    # Once a step has brought rows of chunks that are yet to come, these clash with them: so all come this way.
    told, take_turn = partial(_told, before_chunk), turns.chunk if turns is not None else _at_once
    while not done.done:
        await told(done)
        async with take_turn(partial(told, done)) as share:
            done, since = await _with_step(source, destination, token, table, schema, since, done, share)
    return done


async def _told(before_chunk: Callable[[Progress], Awaitable[None]] | None, progress: Progress) -> None:
    if before_chunk is not None:
        await before_chunk(progress)


@contextlib.asynccontextmanager
async def _at_once(_waiting: Waiting) -> AsyncIterator[float]:
    yield 1.0


async def _with_step(
    source: End,
    destination: End,
    token: int,
    table: Table,
    schema: Schema,
    since: str,
    done: Progress,
    share: float,
) -> tuple[Progress, str]:
    """The next chunk and a step, of one moment: a clash then is with another tenant's row."""
    async with destination.writing(token) as writing, source.reading() as reader:
        stepped = await step(reader, writing, schema, since, persist=partial(fences.persist, source, token))
        rows = done.chunk_rows(share, AGAIN_ROWS)
        chunk = await next_chunk(reader, table, done.after, rows)
        copied = await copy_chunk_again(reader, writing, table, chunk)
        progress = done.plus(chunk, copied.rows, copied.bytes)
        await writing.note(progress={progress_key(table.relation): progress.as_json()})
    return progress, stepped.snapshot


class _Cutting:
    """Hands the chunks of a table to lanes, in order; they commit in that order too, so progress has no holes."""

    def __init__(
        self,
        source: End,
        destination: End,
        token: int,
        table: Table,
        progress: Progress,
        before_chunk: Callable[[Progress], Awaitable[None]] | None,
        turns: Turns | None,
    ) -> None:
        self.progress = progress
        """What is committed."""
        self._source, self._destination, self._token, self._table = source, destination, token, table
        self._told = partial(_told, before_chunk)
        self._take_turn = turns.chunk if turns is not None else _at_once
        self._after, self._at_end = progress.after, False
        self._lock = asyncio.Lock()
        self._cut_last = asyncio.Event()
        """Set when the chunk that was cut last is committed."""
        self._cut_last.set()

    async def run(self, lanes: int) -> None:
        """Until nothing is left. The first chunk alone: of most tables it is the only one."""
        await self._told(self.progress)
        await self._chunk()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(0 if self._at_end else lanes):
                    group.create_task(self._lane())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed.exceptions[0].__cause__

    async def _lane(self) -> None:
        while not self._at_end:
            await self._told(self.progress)
            await self._chunk()

    async def _waiting(self) -> None:
        await self._told(self.progress)

    async def _chunk(self) -> None:
        async with self._take_turn(self._waiting) as share:
            await self._copied(share)

    async def _copied(self, share: float) -> None:
        async with (
            self._destination.writing(self._token, durable=False) as writing,
            self._source.reading() as reader,
        ):
            async with self._lock:
                if self._at_end:
                    return
                rows = self.progress.chunk_rows(share)
                chunk = await next_chunk(reader, self._table, self._after, rows)
                self._after, self._at_end = chunk.to, chunk.last
                cut_before, committed = self._cut_last, asyncio.Event()
                self._cut_last = committed
            copied = await copy_chunk(reader, writing, self._table, chunk)
            await cut_before.wait()
            progress = self.progress.plus(chunk, copied.rows, copied.bytes)
            await writing.note(progress={progress_key(self._table.relation): progress.as_json()})
        self.progress = progress
        committed.set()
