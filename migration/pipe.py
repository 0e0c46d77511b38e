"""Bytes on their way from one server to another, bounded, so that the slower one sets the pace."""

import asyncio
from collections import deque

PIPE_BYTES = 8 * 1024 * 1024


class Pipe:
    """A bounded queue of byte strings with one writer and one reader; iterating ends when the writer closes it."""

    def __init__(self, most_bytes: int = PIPE_BYTES) -> None:
        self.bytes = 0
        """All that went through."""
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()
        self._held_bytes = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Waits until there is room."""
        while self._held_bytes >= self._most_bytes:
            self._room.clear()
            await self._room.wait()
        self._waiting.append(data)
        self._held_bytes += len(data)
        self.bytes += len(data)
        self._changed.set()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "Pipe":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        data = self._waiting.popleft()
        self._held_bytes -= len(data)
        self._room.set()
        return data
