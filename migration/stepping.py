"""One step: from the snapshot at which the destination equals the source to a later one.

Everything that was written between the two is deleted at the destination and read again at the later one, in one
transaction that also notes the later snapshot. So after it the destination equals the source at that snapshot:
keys that were not written are equal already, and the others were just read. It holds through unique swaps,
cascades and crashes, and a step that is done twice does no harm.

However large the difference is, memory is bounded and the transaction is one: keys come a batch at a time and are
all deleted before the first row comes in (a row's unique value may still be another's until that one is deleted
too), and rows are streamed. Batches in transactions of their own would leave a destination that equals no moment
of the source.

Two tasks do it, one an end, so that neither waits for the other's answers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import asyncpg

from directory.rules.comparing import MOST_KEYLESS_ROWS
from directory.rules.tables import Schema, Table
from migration.catalog import DIFFERENCE, QUERIES, read_fingerprint
from migration.ends import Reader, Writing
from migration.errors import Lost, Obstacle, translated
from migration.rules import statements
from migration.streams import Pipe, both, receive, send
from migration.verifying import refuse_dangling

BATCH_KEYS = 10_000
BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step was: the destination now equals the source at `snapshot`."""

    snapshot: str
    history: str
    """The server's in which the snapshot means something."""
    keys: int
    rows: int
    bytes: int


@dataclass(slots=True)
class _Batch:
    """Keys that were written, by relation; and relations in which any row may have been."""

    keys: dict[str, list[list[str]]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    number: int = 0

    def add(self, relation: str, key: list[str] | None) -> None:
        self.number += 1
        if key is None:
            self.whole.add(relation)
        else:
            self.keys.setdefault(relation, []).append(key)


@dataclass(slots=True)
class _Flow:
    """From the reading task to the writing one. None: nothing more comes."""

    snapshot: str
    batches: "asyncio.Queue[_Batch | None]" = field(default_factory=lambda: asyncio.Queue(BATCHES_AHEAD))
    pipes: "asyncio.Queue[tuple[Table, Pipe] | None]" = field(default_factory=asyncio.Queue)


async def step(
    reader: Reader,
    writing: Writing,
    schema: Schema,
    since: str,
    *,
    history: str | None = None,
    persist: Callable[[], Awaitable[None]] | None = None,
    most_keyless_rows: int = MOST_KEYLESS_ROWS,
) -> Stepped:
    """Bring the destination from the source's snapshot `since` to the reader's. `schema` is the source's.

    `persist` returns when the source cannot forget any more what the reader sees (`fences.persist`); only then is
    its snapshot kept. None: that is so already, or the source will not die.

    Lost: the snapshot is not of this server, or not of this `history`. Obstacle: a schema changed, or another
    tenant of the destination has a unique value, or lacks a row that is referred to, or a table without a key is
    too large.
    """
    (first, *rows), other = await both(_difference(reader, since), _fingerprint(writing, schema))
    snapshot, found_history, _, is_ahead, fingerprint = first["key"]
    if is_ahead == "true" or history not in (None, found_history):
        raise Lost(
            f"{reader.where} has another history than the rows were copied from: it is {found_history} at "
            f"{snapshot}, and they are from {history or 'one'} at {since}"
        )
    seen = ((reader.where, fingerprint, schema.fingerprint), (writing.where, other, schema.other))
    for where, found, known in seen:
        if found != known:
            raise Obstacle(
                f"the schema of {where} changed during the move: when it is tried again, both ends are compared, "
                "and the rows copied, anew"
            )
    flow = _Flow(snapshot)
    moving = both(_read(reader, schema, rows, flow, most_keyless_rows), _write(writing, schema, flow))
    if persist is None:
        (keys, bytes_sent), rows_received = await moving
    else:
        ((keys, bytes_sent), rows_received), _ = await both(moving, _awaited(persist))
    return Stepped(snapshot, found_history, keys, rows_received, bytes_sent)


async def _difference(reader: Reader, since: str) -> list[asyncpg.Record]:
    with translated(reader.where):
        return await reader.connection.fetch(DIFFERENCE, since, BATCH_KEYS + 1)


async def _fingerprint(writing: Writing, schema: Schema) -> str:
    """Of the destination, unless it was never compared."""
    if not schema.other:
        return ""
    with translated(writing.where):
        return await read_fingerprint(writing.connection)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _read(
    reader: Reader, schema: Schema, rows: list[asyncpg.Record], flow: _Flow, most_keyless_rows: int
) -> tuple[int, int]:
    """Keys, then rows, out of the source. How many keys, and how many bytes of rows."""
    number, relations, whole = 0, dict[str, None](), set[str]()
    async for batch in _batches(reader, rows):
        number += batch.number
        relations |= dict.fromkeys((*batch.keys, *batch.whole))
        whole |= batch.whole
        await flow.batches.put(batch)
    await flow.batches.put(None)
    await _refuse_too_many(reader, (_table(schema, relation) for relation in whole), most_keyless_rows)
    sent = 0
    for relation in relations:
        table, pipe = _table(schema, relation), Pipe()
        flow.pipes.put_nowait((table, pipe))
        query = statements.rows_of_tenant(table) if relation in whole else statements.rows_of_keys(table)
        await send(reader, table, query, pipe)
        sent += pipe.bytes
    flow.pipes.put_nowait(None)
    return number, sent


async def _batches(reader: Reader, rows: list[asyncpg.Record]) -> AsyncIterator[_Batch]:
    """The keys that were read; or all of them from the beginning, when there are more than were read."""
    if len(rows) <= BATCH_KEYS:
        batch = _Batch()
        for row in rows:
            batch.add(row["relation"], row["key"])
        yield batch
        return
    with translated(reader.where):
        cursor = await reader.connection.cursor(QUERIES["read_logged"])
        while some := await cursor.fetch(BATCH_KEYS):
            batch = _Batch()
            for row in some:
                batch.add(row["relation"], row["key"])
            yield batch


async def _refuse_too_many(reader: Reader, tables: Iterable[Table], most_rows: int) -> None:
    for table in tables:
        with translated(reader.where):
            rows = await reader.connection.fetchval(statements.count_rows(table), most_rows + 1)
        if rows > most_rows:
            raise Obstacle(
                f"{table.relation} at {reader.where} has no key, and more than {most_rows} rows of this tenant, "
                "which would all be copied again after every write: give it a primary key"
            )


async def _write(writing: Writing, schema: Schema, flow: _Flow) -> int:
    """Deletes, then rows, into the destination. How many rows."""
    whole, written = set[str](), dict[str, list[list[str]] | None]()
    while (batch := await flow.batches.get()) is not None:
        whole |= batch.whole
        # Of a large difference no key is kept: then every row is looked at for what it refers to.
        written = dict(batch.keys) if not written else dict.fromkeys((*written, *batch.keys))
        await _delete(writing, schema, batch, flow.snapshot)
    with translated(writing.where):
        for relation in whole:
            await writing.connection.execute(statements.delete_tenant(_table(schema, relation)))
    rows = 0
    while (part := await flow.pipes.get()) is not None:
        table, pipe = part
        rows += await receive(writing, table, pipe)
    await refuse_dangling(writing, schema, {**written, **dict.fromkeys(whole)})
    return rows


async def _delete(writing: Writing, schema: Schema, batch: _Batch, snapshot: str) -> None:
    tables = [_table(schema, relation) for relation in batch.keys]
    columns = [list(column) for keys in batch.keys.values() for column in zip(*keys, strict=True)]
    statement = statements.delete_keys(tables)
    with translated(writing.where):
        await writing.connection.execute(statement, writing.move_id, writing.token, snapshot, *columns)


def _table(schema: Schema, relation: str) -> Table:
    try:
        return schema.tables[relation]
    except KeyError:
        raise Obstacle(f"{relation} was captured, but was not there when the move began: compare again") from None
