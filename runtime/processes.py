"""Several processes of one program: a parent that starts them, and starts them again when they die.

A child ends when its standard input does, so none outlives a parent that was killed.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from runtime import logs
from runtime.backoff import Backoff
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.program import EXIT_USELESS
from runtime.tasks import Tasks

log = logs.get("runtime.processes")
EXTRA_STOP_SECONDS = 7.0
"""After its drain a child closes what is left; then it is killed."""


@dataclass(frozen=True, slots=True)
class Child:
    """One of the processes: arguments of the interpreter, and what is added to the environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


def parent_of(children: "Children", drain_seconds: float) -> Lifecycle:
    """A parent's life. Children drain by their own deadline; the parent waits a little longer than they do."""
    lifecycle = Lifecycle(Health(), drain_seconds=drain_seconds + EXTRA_STOP_SECONDS)
    children.give_up = lifecycle.end
    lifecycle.add(Part("processes", children.start, children.drain, children.stop))
    return lifecycle


def end_with_parent(lifecycle: Lifecycle) -> None:
    """In a child: end when the parent is gone."""

    def gone() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            lifecycle.end()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), gone)


class Children:
    """The processes. `child`: number → what it is; `prepare` runs before the first is started."""

    def __init__(
        self, count: int, child: Callable[[int], Child], prepare: Callable[[], None] | None = None
    ) -> None:
        self._count, self._child, self._prepare = count, child, prepare
        self._tasks = Tasks()
        self._running: dict[int, Process] = {}
        self._ending = False
        self.give_up: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<Children {len(self._running)} of {self._count} running>"

    async def start(self) -> None:
        """Start them; each is started again when it dies."""
        if self._prepare is not None:
            self._prepare()
        for number in range(self._count):
            self._tasks.keep(
                f"process {number}", self._keeper(number), Backoff(initial_seconds=0.2, cap_seconds=2.0)
            )

    def _keeper(self, number: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self._run(number)

        return run

    async def _run(self, number: int) -> None:
        child = self._child(number)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *child.arguments, stdin=PIPE, env={**os.environ, **child.environment}
        )
        self._running[number] = process
        log.info("process_started", number=number, pid=process.pid)
        code = await process.wait()
        del self._running[number]
        if self._ending:
            await asyncio.Event().wait()  # until cancelled: nothing is started again
        log.warning("process_ended", number=number, pid=process.pid, code=code)
        if code == EXIT_USELESS:
            self.give_up()
        raise ChildDied(f"process {number} ended with {code}")

    async def drain(self) -> None:
        """Pass the signal on, and wait until every process has finished."""
        self._ending = True
        for process in list(self._running.values()):
            process.terminate()
        await asyncio.gather(*(process.wait() for process in list(self._running.values())))

    async def stop(self) -> None:
        """Kill what is left."""
        for process in list(self._running.values()):
            process.kill()
        await self._tasks.close()


class ChildDied(Exception):
    """A process ended that was not asked to."""
