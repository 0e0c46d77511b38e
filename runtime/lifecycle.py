"""Parts start in order, drain together, and stop in reverse, each by a deadline.

    starting ── every part started ──▶ running ── signal ──▶ draining ──▶ stopping ──▶ stopped

A part that fails to start stops the ones before it. Nothing here waits without a deadline: what has not
stopped by its own is named in the log and left behind, because the process is about to end anyway.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runtime import logs
from runtime.errors import RuntimeFault, StartFailed
from runtime.health import Health

log = logs.get("runtime.lifecycle")
Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Part:
    """Something with a beginning and an end. `drain` finishes what was accepted and takes nothing new."""

    name: str
    start: Step | None = None
    drain: Step | None = None
    stop: Step | None = None
    start_deadline_seconds: float = 30.0
    stop_deadline_seconds: float = 5.0


class Lifecycle:
    """The parts of one process, in the order of their start."""

    def __init__(self, health: Health, drain_seconds: float = 10.0) -> None:
        self.health = health
        self.drain_seconds = drain_seconds
        self._parts: list[Part] = []
        self._started: list[Part] = []
        self._ending = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lifecycle {len(self._started)}/{len(self._parts)} parts started>"

    def add(self, part: Part) -> None:
        """Append a part; it may use what the parts before it provide."""
        self._parts.append(part)

    def end(self) -> None:
        """Ask the process to stop, as SIGTERM does."""
        self._ending.set()

    async def start(self) -> None:
        """Start all parts in order, or none: StartFailed says which part failed, and why."""
        for part in self._parts:
            try:
                if part.start is not None:
                    await asyncio.wait_for(part.start(), part.start_deadline_seconds)
            except Exception as error:
                await self.stop()
                raise _start_failed(part, error) from error
            self._started.append(part)

    async def stop(self) -> None:
        """Drain everything at once, then stop in reverse."""
        self.health.draining = True
        drains = [_step(part, "drain", part.drain, self.drain_seconds) for part in self._started if part.drain]
        await asyncio.gather(*drains)
        while self._started:
            part = self._started.pop()
            await _step(part, "stop", part.stop, part.stop_deadline_seconds)

    async def run(self) -> None:
        """Start, wait for SIGTERM or SIGINT (or `end`), stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        await self.start()
        log.info("started", parts=len(self._parts))
        await self._ending.wait()
        log.info("stopping", drain_seconds=self.drain_seconds)
        await self.stop()
        log.info("stopped")


async def _step(part: Part, verb: str, step: Step | None, deadline_seconds: float) -> None:
    if step is None:
        return
    try:
        await asyncio.wait_for(step(), deadline_seconds)
    except TimeoutError:
        log.error("part_late", part=part.name, step=verb, deadline_seconds=deadline_seconds)
    except Exception as error:
        log.error("part_failed", part=part.name, step=verb, error=repr(error), exc_info=error)


def _start_failed(part: Part, error: Exception) -> RuntimeFault:
    if isinstance(error, RuntimeFault):
        return error
    if isinstance(error, TimeoutError):
        return StartFailed(f"{part.name} did not start within {part.start_deadline_seconds:g} s")
    return StartFailed(f"{part.name} did not start: {type(error).__name__}: {error}")
