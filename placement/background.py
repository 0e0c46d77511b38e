"""What goes on without being asked: publishing, reconciling, looking at cells, measuring, standing for election.

Each waits until the directory is usable, and is tried again by itself when what it needs is away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from directory.errors import Unavailable
from directory.leading import Candidate
from directory.pointer import Pointer, Position
from directory.publisher import Publisher
from placement import metrics
from placement.cells import Cells
from placement.measuring import Measuring
from placement.readiness import Readiness
from placement.reconciler import Reconciler
from placement.witnesses import Witnesses
from runtime.backoff import Backoff
from runtime.tasks import Tasks

QUICK = Backoff(initial_seconds=0.1, cap_seconds=1.0)
"""For what others wait for: once Redis or Postgres is back, a router hears of changes at most this much later."""

POINT_SECONDS = 1.0


class Background:
    """The kept tasks of one placement."""

    def __init__(
        self,
        ready: Readiness,
        publisher: Publisher,
        reconciler: Reconciler,
        cells: Cells,
        candidate: Candidate,
        witnesses: Witnesses,
        pointer: Pointer | None,
        measuring: Measuring,
    ) -> None:
        self._ready = ready
        self._publisher = publisher
        self._reconciler = reconciler
        self._cells = cells
        self._candidate = candidate
        self._witnesses = witnesses
        self._pointer = pointer
        self._measuring = measuring
        self._pointed: Position | None = None
        self._more: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks = Tasks()

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """One more, before the start: again and again once the directory is usable."""
        self._more.append((name, work))

    async def start(self) -> None:
        """Look at the schema once, then let everything go on by itself. SchemaError."""
        await self._ready.begin()
        self._tasks.keep("prepare", self._ready.step)
        self._tasks.keep("publish", self._once_usable(self._publish), QUICK)
        self._tasks.keep("reconcile", self._once_usable(self._reconciler.step), QUICK)
        self._tasks.keep("open joining cells", self._once_usable(self._cells.open_joining), QUICK)
        self._tasks.keep("look at cells", self._once_usable(self._cells.look_around))
        self._tasks.keep("lead", self._once_usable(self._candidate.step))
        self._tasks.keep("measure load", self._once_usable(self._measuring.step))
        self._tasks.keep("see cells", self._witnesses.cells.step)
        self._tasks.keep("see routers", self._witnesses.routers.step)
        if self._pointer is not None:
            self._tasks.keep("point", self._point)
        for name, work in self._more:
            self._tasks.keep(name, self._once_usable(work))

    async def stop(self) -> None:
        """End all of them, and let another placement lead at once."""
        await self._tasks.close()
        await self._candidate.give_up()

    async def _publish(self) -> None:
        metrics.PUBLISHED.set(await self._publisher.step())

    async def _point(self) -> None:
        """Tell how far has been published: of all the changes of a second the last alone, for Consul's sake."""
        position = self._publisher.position
        if self._pointer is not None and position is not None and position != self._pointed:
            with suppress(Unavailable):  # it is told as soon as it can be
                await self._pointer.put(position)
                self._pointed = position
        await asyncio.sleep(POINT_SECONDS)

    def _once_usable(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def once_usable() -> None:
            await self._ready.usable.wait()
            await work()

        return once_usable
