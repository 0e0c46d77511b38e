"""Spares sources: who copies a chunk waits for a turn, which all moves out of a cell share; `rules.pace` decides.

A mover probes a source once, however many moves it carries from there, and only while one of them copies. Sources
that nothing is copied from are remembered for a while, so the next of many small moves need not learn anew.

    async with paces.copying("cell-1") as turns:
        async with turns.chunk(told) as share:
            ...  # copy `share` of a usual chunk
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from migration import metrics
from migration.databases import Databases
from migration.probing import Blind, commit_seconds, probing
from migration.rules import pace as rules
from migration.rules.pace import Bounds, Pace
from runtime import logs
from runtime.backoff import Backoff
from runtime.tasks import Tasks

log = logs.get("migration.pace")
PROBE_SECONDS = 0.1
"""Between two probes."""
HURRY_SECONDS = 0.025
"""While it is not known what is usual, or chunks are few and small."""
IDLE_SHARE = 4
"""So many times what a probe takes passes until the next: slow disks are not kept busy by probes."""
MOST_BETWEEN_SECONDS = 0.5
FREE_SECONDS = 1.0
"""Whoever copies no longer than this does not wait until it is known what is usual, but is gentle."""
GENTLE_PART, GENTLE_TIME = 0.02, 0.5
"""Of a usual chunk, one after the other, and of the time: what commits take tells nothing yet, and most tenants
are copied by then. Who comes in between waits a few milliseconds."""
LEARN_SECONDS = 5.0
"""Longer is not waited for that; it is tried again after"""
LEARN_AGAIN_SECONDS = 300.0
KEEP_SECONDS = 300.0
"""A source from which nothing was copied for so long is forgotten."""
TELL_SECONDS = 1.0
_AGAIN = Backoff(initial_seconds=0.2, cap_seconds=5.0)
Waiting = Callable[[], Awaitable[None]]


class Paces:
    """One mover's, of all cells that it copies from."""

    def __init__(self, databases: Databases, bounds: Bounds | None = None) -> None:
        self._databases, self._bounds = databases, bounds or Bounds()
        self._tasks = Tasks()
        self._sources: dict[str, Source] = {}

    def __repr__(self) -> str:
        return f"<Paces of {len(self._sources)} sources>"

    async def close(self) -> None:
        """Probe nothing any more."""
        await self._tasks.close()

    @contextlib.asynccontextmanager
    async def copying(self, cell_id: str) -> AsyncIterator["Turns"]:
        """For as long as one move copies out of this cell."""
        self._forget()
        source = self._sources.setdefault(cell_id, Source(cell_id, self._bounds))
        source.left = math.inf
        if not source.copies:
            work = partial(source.probe, partial(self._databases.dsn, cell_id))
            source.probing = self._tasks.keep(f"pace of {cell_id}", work, _AGAIN)
        source.copies += 1
        try:
            yield Turns(source)
        finally:
            source.copies -= 1
            if not source.copies:
                source.rest()

    def _forget(self) -> None:
        before = time.monotonic() - KEEP_SECONDS
        for cell_id in [one for one, source in self._sources.items() if source.left < before]:
            del self._sources[cell_id]


class Source:
    """One cell that is copied from, and who waits to do so. In the order in which they came."""

    def __init__(self, cell_id: str, bounds: Bounds) -> None:
        self.cell_id = cell_id
        self.pace: Pace = rules.begin(bounds)
        self.copies = 0
        """Moves that copy from it."""
        self.left = math.inf
        """When the last of them ended."""
        self.probing: asyncio.Task[Any] | None = None
        self._bounds = bounds
        self.is_blind = False
        """It cannot be looked at now: it is away, or does not let us."""
        self._flying: dict[object, int] = {}
        """Chunks on their way, each with how often the limit had been lowered before it began."""
        self._began, self._lowered = 0, 0
        self._ended, self._took_seconds = 0.0, 0.0
        """Of the chunk that ended last."""
        self._lately: deque[float] = deque(maxlen=rules.WINDOW // 2)
        """Seconds that commits took while something was copied."""
        self._line: deque[object] = deque()
        self._changed = asyncio.Event()
        self._learn_until = self._learn_again = -math.inf

    def __repr__(self) -> str:
        return f"<Source {self.cell_id} at {self.pace.limit:g}, {len(self._flying)} chunks>"

    def rest(self) -> None:
        """Nothing is copied from it any more."""
        self.left = time.monotonic()
        if self.probing is not None:
            self.probing.cancel()
        with contextlib.suppress(KeyError):
            metrics.PACE.remove(self.cell_id)

    # Looking at it

    async def probe(self, dsn: Callable[[], str]) -> None:
        """For the life of one connection. Unavailable: whoever copies from it will see as much."""
        try:
            async with probing(dsn(), self.cell_id) as connection:
                warm = self.is_blind = False
                while not connection.is_closed():
                    began, before = self._began, len(self._flying)
                    seconds = await commit_seconds(connection, self.cell_id)
                    if warm or connection.is_closed():  # the first one fills a new connection's caches
                        self.sampled(seconds, max(before, len(self._flying), min(1, self._began - began)))
                    warm = True
                    await asyncio.sleep(self._between_seconds(seconds))
        except Blind as error:
            log.warning("source_not_paced", cell=self.cell_id, reason=str(error))
            self._see_nothing()
            await asyncio.Event().wait()
        except BaseException:
            self._see_nothing()
            raise

    def _see_nothing(self) -> None:
        self.is_blind = True
        self._change()

    def sampled(self, seconds: float, chunks: int) -> None:
        """A commit took so long, while so many chunks were on their way."""
        metrics.COMMIT_SECONDS.labels("yes" if chunks else "no").observe(seconds)
        if chunks:
            self._lately.append(seconds)
        if chunks and any(lowered < self._lowered for lowered in self._flying.values()):
            return  # by a chunk that was let go before the limit was lowered
        before, self.pace = self.pace, rules.sampled(self.pace, seconds, chunks, self._bounds)
        metrics.PACE.labels(self.cell_id).set(self.pace.limit)
        if self.pace.limit < before.limit:
            self._lowered += 1
            log.info("source_spared", cell=self.cell_id, limit=round(self.pace.limit, 3), **self.told())
        if self.pace.limit != before.limit or self.pace.learnt != before.learnt:
            self._change()

    def _between_seconds(self, seconds: float) -> float:
        least = PROBE_SECONDS if self.pace.learnt and self.pace.limit >= 1 else HURRY_SECONDS
        return min(MOST_BETWEEN_SECONDS, max(least, seconds * IDLE_SHARE))

    def told(self) -> dict[str, float]:
        """What commits take while chunks are on their way, and what they usually take (ms)."""
        known = {"commit_ms": self._lately, "usual_commit_ms": self.pace.usual}
        return {name: round(rules.quantile(each, 0.5) * 1000, 1) for name, each in known.items() if each}

    # Taking turns

    def learn(self) -> None:
        """Let nobody begin until it is known what is usual, but not for long."""
        now = time.monotonic()
        if not self.pace.learnt and not self.is_blind and now >= self._learn_again:
            self._learn_until, self._learn_again = now + LEARN_SECONDS, now + LEARN_AGAIN_SECONDS

    @contextlib.asynccontextmanager
    async def turn(self, waiting: Waiting) -> AsyncIterator[float]:
        """Wait for one; `waiting` is called now and then meanwhile, and may raise. The share of a usual chunk."""
        place, told = object(), time.monotonic()
        self._line.append(place)
        try:
            while self._line[0] is not place or (seconds := self._wait_seconds()) > 0:
                await self._changed_within(seconds if self._line[0] is place else TELL_SECONDS)
                if time.monotonic() - told >= TELL_SECONDS:
                    await waiting()
                    told = time.monotonic()
            share = self.pace.share
        finally:
            self._line.remove(place)
            self._change()
        began = time.monotonic()
        self._flying[place] = self._lowered
        self._began += 1
        try:
            yield share
        finally:
            del self._flying[place]
            self._ended = time.monotonic()
            self._took_seconds = self._ended - began
            self._change()

    def _wait_seconds(self) -> float:
        now = time.monotonic()
        if len(self._flying) >= self.pace.at_once:
            return TELL_SECONDS
        if not self.pace.learnt and not self.is_blind and now < self._learn_until:
            return self._learn_until - now
        return self._ended + self.pace.rest_seconds(self._took_seconds) - now

    async def _changed_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, TELL_SECONDS)):
                await self._changed.wait()

    def _change(self) -> None:
        """Whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass
class Turns:
    """One move's, at a source that it shares with others."""

    source: Source

    def __post_init__(self) -> None:
        self._joined = time.monotonic()
        self._waited_seconds = self._copied_seconds = 0.0
        self._gently = asyncio.Lock()
        """Until a gentle chunk and the rest after it are over."""

    def told(self) -> dict[str, float]:
        """For the move's progress: which share of its time it waited, and why."""
        seconds = self._waited_seconds + self._copied_seconds
        return {"throttled": round(self._waited_seconds / seconds, 2) if seconds else 0.0, **self.source.told()}

    @contextlib.asynccontextmanager
    async def chunk(self, waiting: Waiting) -> AsyncIterator[float]:
        """The share of a usual chunk that may be copied now. `waiting` is called now and then until then."""
        came = time.monotonic()
        if came - self._joined > FREE_SECONDS or self.source.is_blind:
            self.source.learn()
            async with self._turn(waiting, came) as share:
                yield share
            return
        async with self._gently:
            async with self._turn(waiting, came) as share:
                began = time.monotonic()
                yield share * GENTLE_PART
            rest_seconds = min(FREE_SECONDS, (time.monotonic() - began) * (1 / GENTLE_TIME - 1))
            await asyncio.sleep(rest_seconds)
            self._waited(rest_seconds)

    @contextlib.asynccontextmanager
    async def _turn(self, waiting: Waiting, came: float) -> AsyncIterator[float]:
        async with self.source.turn(waiting) as share:
            began = time.monotonic()
            self._waited(began - came)
            try:
                yield share
            finally:
                self._copied_seconds += time.monotonic() - began

    def _waited(self, seconds: float) -> None:
        self._waited_seconds += seconds
        metrics.WAITED.inc(seconds)
