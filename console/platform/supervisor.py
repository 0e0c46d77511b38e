"""Starts parts as soon as what they need is ready, restarts what dies, stops in reverse.

Each part has one task that runs its whole life; its state changes only there. Nothing here knows what a
part is.
"""

import asyncio
import functools
import random
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from console.platform.errors import PartFailed
from console.platform.parts import Part
from console.platform.states import Event, State, after
from runtime.backoff import Backoff
from runtime.errors import RuntimeFault
from runtime.tasks import Tasks

FIRST_TRIES = 3
"""How often a part that has never been ready is tried before the whole start is given up."""
SETTLED_SECONDS = 10.0
"""A part that ran for so long is restarted as if it had never failed."""
BACKOFF = Backoff(initial_seconds=0.2, cap_seconds=5.0)


@dataclass(frozen=True, slots=True)
class Status:
    """What people and tests may know of a part. `since` is monotonic: when it entered its state."""

    name: str
    state: State
    pid: int | None
    port: int | None
    restarts: int
    since: float
    remark: str = ""


class Supervisor:
    """The parts of one platform, while they run."""

    def __init__(self, parts: Iterable[Part], tell: Callable[[Status], None] = lambda _status: None) -> None:
        """`tell` hears of every change, in the event loop."""
        self._parts = {part.name: part for part in parts}
        self._tell = tell
        self._tasks = Tasks()
        self._lives: dict[str, asyncio.Task[None]] = {}
        # Each part may be starting in one thread while another stops it.
        self._threads = ThreadPoolExecutor(max_workers=2 * len(self._parts), thread_name_prefix="part")
        self._statuses = {
            part.name: Status(part.name, State.WAITING, None, part.port, 0, time.monotonic())
            for part in self._parts.values()
        }
        self._ready_once: set[str] = set()
        self._held: set[str] = set()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._fault: RuntimeFault | None = None

    def __repr__(self) -> str:
        ready = sum(status.state is State.READY for status in self._statuses.values())
        return f"<Supervisor {ready}/{len(self._statuses)} ready>"

    @property
    def statuses(self) -> list[Status]:
        """All of them, in the order of the blueprint."""
        return list(self._statuses.values())

    def status(self, name: str) -> Status:
        return self._statuses[name]

    def begin(self) -> None:
        """Begin to start the parts; `until` tells when they are ready."""
        for part in self._parts.values():
            self._lives[part.name] = self._tasks.spawn(part.name, self._live(part))

    async def until(self, wanted: Callable[[], bool], deadline_seconds: float) -> None:
        """Wait for statuses. Raises `TimeoutError`, or the fault for which a part was given up."""
        async with asyncio.timeout(deadline_seconds):
            while self._fault is None and not wanted():
                await self._changed.wait()
        if self._fault is not None:
            raise self._fault

    async def until_ready(self, names: Iterable[str], deadline_seconds: float) -> None:
        """Wait until all of them are ready. Raises `StartFailed`, which names those that are not."""
        wanted = list(names)

        def late() -> list[str]:
            return [name for name in wanted if self._statuses[name].state is not State.READY]

        try:
            await self.until(lambda: not late(), deadline_seconds)
        except TimeoutError:
            raise PartFailed(
                f"Not ready within {deadline_seconds:g} s: {', '.join(late())}; see their logs."
            ) from None

    async def stop(self) -> None:
        """Stop the highest rank first, a rank at a time; return when nothing runs."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for rank in sorted({part.rank for part in self._parts.values()}, reverse=True):
            await asyncio.gather(*(self._end(part) for part in self._parts.values() if part.rank == rank))
        await self._tasks.close()
        self._threads.shutdown(wait=False)

    async def hold(self, names: Iterable[str], deadline_seconds: float = 10.0) -> None:
        """Kill these parts and keep them down until `release`, to see how the rest does without them."""
        held = set(names)
        self._held |= held
        for name in held:
            self._parts[name].kill()
        await self.until(lambda: all(self._statuses[name].pid is None for name in held), deadline_seconds)

    def release(self, names: Iterable[str]) -> None:
        """Let them come back."""
        self._held -= set(names)
        self._wake()

    def hurry(self) -> None:
        """Somebody pressed Ctrl-C again: kill what still runs."""
        for part in self._parts.values():
            part.kill()

    async def _live(self, part: Part) -> None:
        """The whole life of a part; it ends when the part is given up, or everything stops."""
        while not all(name in self._ready_once for name in part.needs):
            await self._changed.wait()
        failures = 0
        while not self._stopping.is_set():
            while part.name in self._held:
                await self._changed.wait()
            started = time.monotonic()
            self._note(part, Event.STARTED, self._statuses[part.name].remark)
            fault, remark = await self._run(part)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > SETTLED_SECONDS else failures + 1
            if fault and part.name not in self._ready_once and (part.hopeless or failures >= FIRST_TRIES):
                self._fault = self._fault or fault
                self._note(part, Event.GAVE_UP, remark)
                return
            self._note(part, Event.ENDED, remark)
            await asyncio.sleep(BACKOFF.wait_seconds(max(0, failures - 1), random.random()))  # noqa: S311 jitter

    async def _run(self, part: Part) -> tuple[RuntimeFault | None, str]:
        """One run of the part, from its start to its end; why it did not start, and how it ended."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        try:
            await loop.run_in_executor(self._threads, part.start)
            await part.once_ready()
        except RuntimeFault as fault:
            return fault, str(fault)
        except Exception as error:
            unknown = PartFailed(f"{part.name} did not start: {type(error).__name__}: {error}")
            return unknown, str(unknown)
        if self._stopping.is_set():
            return None, ""
        part.on_exit(lambda code: _tell_loop(loop, ended, code))
        self._ready_once.add(part.name)
        self._note(part, Event.BECAME_READY)
        return None, _ending(await ended, part.last_words())

    async def _end(self, part: Part) -> None:
        stop = functools.partial(asyncio.get_running_loop().run_in_executor, self._threads, part.stop)
        self._note(part, Event.STOP)
        await stop()
        if (life := self._lives.get(part.name)) is not None:
            life.cancel()
            await asyncio.wait([life], timeout=1.0)
        await stop()  # in case it was just about to start
        self._note(part, Event.STOPPED)

    def _note(self, part: Part, event: Event, remark: str = "") -> None:
        """The only place where a state changes."""
        old = self._statuses[part.name]
        self._statuses[part.name] = status = Status(
            name=part.name,
            state=after(old.state, event),
            pid=part.pid,
            port=part.port,
            restarts=old.restarts + (event is Event.ENDED),
            since=time.monotonic(),
            remark=remark,
        )
        self._wake()
        self._tell(status)

    def _wake(self) -> None:
        """Whoever waits for a change looks again."""
        self._changed.set()
        self._changed = asyncio.Event()


def _ending(code: int, words: str) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with code {code}{': ' + words if words else ''}"


def _tell_loop(loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[int]", code: int) -> None:
    """From the thread that waited for the process."""
    with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(code))
