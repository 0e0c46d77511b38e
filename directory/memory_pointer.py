"""The version pointer's twin in memory: the same promises and errors."""

import asyncio
import contextlib

from directory.pointer import Position, leads_on


class MemoryPointer:
    """`Pointer` in a variable. `like` is whose position it shares, as others share a Consul."""

    def __init__(self, like: "MemoryPointer | None" = None) -> None:
        self._kept: _Kept = _Kept() if like is None else like._kept
        self._is_told = False
        self._told: Position | None = None

    async def put(self, position: Position) -> None:
        if leads_on(self._kept.position, position):
            self._kept.position = position
            self._kept.changed.set()
            self._kept.changed = asyncio.Event()

    async def next(self, seconds: float) -> Position | None:
        if self._is_told and self._told == self._kept.position:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._kept.changed.wait()
        self._is_told, self._told = True, self._kept.position
        return self._told

    async def close(self) -> None:
        """Nothing to close."""


class _Kept:
    def __init__(self) -> None:
        self.position: Position | None = None
        self.changed = asyncio.Event()
