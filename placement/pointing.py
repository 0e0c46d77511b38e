"""Tells those who only want to know whether they are behind how far has been published."""

import asyncio
import time

from directory.errors import Unavailable
from directory.pointer import Pointer, Position
from directory.publisher import Publisher
from runtime import logs
from runtime.absences import Absence

log = logs.get("placement.pointing")

POINT_SECONDS = 1.0
POINTED_AGAIN_SECONDS = 30.0
"""A Consul, or a Redis, that came back empty is told by then where the pointer is, also when nothing changes."""


class Pointing:
    """One round is a second: of all its changes the last alone is told."""

    def __init__(self, publisher: Publisher, pointer: Pointer) -> None:
        self._publisher, self._pointer = publisher, pointer
        self._pointed: Position | None = None
        self._pointed_at = 0.0
        self._absence = Absence(log, "pointer")

    async def step(self) -> None:
        """Tell what is new, and rest until the next round."""
        position, is_old = self._publisher.position, time.monotonic() - self._pointed_at > POINTED_AGAIN_SECONDS
        if position is not None and (is_old or position != self._pointed):
            try:
                await self._pointer.put(position)
            except Unavailable as error:
                self._absence.noted(error)
                await self._absence.rest()
                return
            self._absence.over()
            self._pointed, self._pointed_at = position, time.monotonic()
        await asyncio.sleep(POINT_SECONDS)
