"""The twins of locks and terms in memory: the same promises and errors."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from directory.leadership import Lock
from directory.memory import MemoryDirectory
from directory.values import Term
from runtime.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class _Held:
    lock: Lock
    until: float


class MemoryLeadership:
    """`Leadership` in a dictionary, for candidates of one process."""

    def __init__(self, lives_seconds: float = 10.0, clock: Clock | None = None) -> None:
        self.lives_seconds = lives_seconds
        self._clock = clock or SystemClock()
        self._held: dict[str, _Held] = {}
        self._freed = asyncio.Event()

    async def gain(self, resource: str, owner: str) -> Lock | None:
        if self._holder(resource) is not None:
            return None
        lock = Lock(resource, owner, uuid.uuid4().hex)
        self._hold(lock)
        return lock

    async def take(self, resource: str, owner: str) -> Lock:
        """As `fallback_leadership.Spare` has it."""
        lock = Lock(resource, owner, uuid.uuid4().hex)
        self._hold(lock)
        return lock

    async def keep(self, lock: Lock) -> bool:
        if self._holder(lock.resource) != lock:
            return False
        self._hold(lock)
        return True

    async def give_up(self, lock: Lock) -> None:
        if self._holder(lock.resource) == lock:
            del self._held[lock.resource]
            self._freed.set()
            self._freed = asyncio.Event()

    async def leader(self, resource: str) -> str | None:
        holder = self._holder(resource)
        return None if holder is None else holder.owner

    async def wait(self, resource: str, seconds: float) -> None:
        held = self._held.get(resource)
        if held is None or self._holder(resource) is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, held.until - self._clock.monotonic())):
                await self._freed.wait()

    async def close(self) -> None:
        """Nothing to close."""

    def _hold(self, lock: Lock) -> None:
        self._held[lock.resource] = _Held(lock, self._clock.monotonic() + self.lives_seconds)

    def _holder(self, resource: str) -> Lock | None:
        held = self._held.get(resource)
        return held.lock if held is not None and held.until > self._clock.monotonic() else None


class MemoryTerms:
    """`Terms` of a `MemoryDirectory`."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory

    async def begin(self, resource: str, owner: str) -> Term:
        directory = self._directory
        term = Term(resource, directory.next_epoch(), owner, directory.clock.now())
        directory.terms[resource] = term
        return term

    async def latest(self, resource: str) -> Term | None:
        return self._directory.terms.get(resource)

    async def all(self) -> Sequence[Term]:
        terms = self._directory.terms
        return [terms[name] for name in sorted(terms)]
