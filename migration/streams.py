"""Rows on their way from one server to the other as COPY writes them: none is decoded, and few are held."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

from directory.rules.tables import Table
from migration.ends import Reader, Writing
from migration.errors import translated
from migration.rules import statements

PIPE_BYTES = 4 * 1024 * 1024
"""Held at once; a single larger message passes alone."""

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


class Pipe:
    """A queue of byte strings, bounded in bytes, with one writer and one reader; the slower one sets the pace."""

    def __init__(self, most_bytes: int = PIPE_BYTES) -> None:
        self.bytes = 0
        """All that went in."""
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()
        self._held_bytes = 0
        self._closed = False
        self._came = asyncio.Event()
        self._room = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Pipe {self._held_bytes} of {self.bytes} bytes{', closed' if self._closed else ''}>"

    async def put(self, data: bytes) -> None:
        """Waits while it is full."""
        while self._held_bytes >= self._most_bytes:
            self._room.clear()
            await self._room.wait()
        self._waiting.append(data)
        self._held_bytes += len(data)
        self.bytes += len(data)
        self._came.set()

    def close(self) -> None:
        """Nothing more comes: iterating ends after what is held."""
        self._closed = True
        self._came.set()

    def __aiter__(self) -> "Pipe":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        data = self._waiting.popleft()
        self._held_bytes -= len(data)
        self._room.set()
        return data


async def send(reader: Reader, table: Table, query: str, pipe: Pipe) -> None:
    """What the query yields, into the pipe."""
    with translated(reader.where):
        await reader.connection.copy_from_query(query, output=pipe.put, format=table.format)
    pipe.close()


async def receive(writing: Writing, table: Table, pipe: Pipe) -> int:
    """The pipe's rows into the table; their number."""
    is_staged = table.relation in writing.staged
    place = (statements.STAGED_SCHEMA, statements.STAGED_NAME) if is_staged else (table.schema, table.name)
    with translated(writing.where):
        if is_staged:
            await writing.connection.execute(statements.stage(table))
        said = await writing.connection.copy_to_table(
            place[1],
            schema_name=place[0],
            columns=[column.name for column in table.copied],
            source=pipe,
            format=table.format,
        )
        if is_staged:
            await writing.connection.execute(statements.unstage(table))
    return int(said.rpartition(" ")[2])


def unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A loop's exception handler, for a COPY that was begun just when its server had said goodbye.

    asyncpg tells that to whoever began it, but has made a future for the answer that nobody waits for, and
    complains about it when the connection is gone.
    """
    future, error = context.get("future"), context.get("exception")
    if isinstance(future, asyncio.Task) or not isinstance(error, asyncpg.ConnectionDoesNotExistError):
        loop.default_exception_handler(context)


async def both(first: Coroutine[Any, Any, FirstT], second: Coroutine[Any, Any, SecondT]) -> tuple[FirstT, SecondT]:
    """The results of two that need each other: when one fails, the other is stopped, and it is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            one, two = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    return one.result(), two.result()
