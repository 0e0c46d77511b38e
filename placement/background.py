"""What goes on without being asked, again and again, also after what it needs was away."""

from collections.abc import Awaitable, Callable

from directory.leading import Candidate
from placement.readiness import Readiness
from runtime.backoff import Backoff
from runtime.tasks import Tasks

QUICK = Backoff(initial_seconds=0.1, cap_seconds=1.0)
"""For what others wait for: once Redis or Postgres is back, a router hears of changes at most this much later."""


class Background:
    """The kept tasks of one placement: making the directory ready, standing for election, and what is added."""

    def __init__(self, ready: Readiness, candidate: Candidate) -> None:
        self._ready, self._candidate = ready, candidate
        self._kept: list[tuple[str, Callable[[], Awaitable[None]], Backoff | None]] = []
        self._tasks = Tasks()
        self.keep("lead", candidate.go_on)

    def keep(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        backoff: Backoff | None = None,
        *,
        needs_directory: bool = True,
    ) -> None:
        """One more, to be added before the start. What `needs_directory` begins once that is usable."""
        self._kept.append((name, self._work(work, needs_directory), backoff))

    async def start(self) -> None:
        """Look at the schema once, then let everything go on by itself. SchemaError."""
        await self._ready.begin()
        self._tasks.keep("prepare", self._ready.step)
        for name, work, backoff in self._kept:
            self._tasks.keep(name, work, backoff)

    async def stop(self) -> None:
        """End all of them, and let another placement lead at once."""
        await self._tasks.close()
        await self._candidate.give_up()

    def _work(self, work: Callable[[], Awaitable[object]], needs_directory: bool) -> Callable[[], Awaitable[None]]:
        async def once() -> None:
            if needs_directory:
                await self._ready.usable.wait()
            await work()

        return once
