"""Two locks for one resource: a preferred one, and a spare one that still is there when the preferred one is away.

Who leads holds the spare lock, always. The preferred one says who may take it:

    preferred lock gained       the spare one is taken, also from somebody who holds it
    preferred lock away         for longer than it lives: the spare one is gained when it is free
    … while we lead             we go on with the spare one, in the same term
    … and back                  the preferred one is gained again; if somebody else was quicker, the spare one is
                                taken from us

So nobody who reaches the preferred lock loses to somebody who does not, and whoever does not reach it finds the
spare one held, and follows: there is no war between the two. Both are advice all the same; the term counts.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from directory.errors import Unavailable
from directory.leadership import Leadership, Lock
from runtime import logs
from runtime.absences import Absence
from runtime.clock import Clock, SystemClock

log = logs.get("directory.fallback_leadership")

PARTS = 3
"""Of a lock's life: one is the longest that the preferred lock holds up the keeping of the spare one, and that
whoever waits for the spare one does not ask for the preferred one."""
AnswerT = TypeVar("AnswerT")


class Spare(Leadership, Protocol):
    """A lock that can be taken over."""

    async def take(self, resource: str, owner: str) -> Lock:
        """The lock, whoever holds it; that one finds it lost. Unavailable."""


@dataclass(slots=True)
class _Held:
    """`lock` is what our caller has of it; `preferred` None: it was lost, or never had."""

    lock: Lock
    preferred: Lock | None
    spare: Lock


class FallbackLeadership:
    """`Leadership` by both. It closes `preferred` and `spare`."""

    def __init__(self, preferred: Leadership, spare: Spare, clock: Clock | None = None) -> None:
        self.lives_seconds = preferred.lives_seconds
        self._preferred, self._spare = preferred, spare
        self._clock = clock or SystemClock()
        self._absence = Absence(log, "preferred lock", self._clock)
        self._away_since: float | None = None
        self._held: dict[str, _Held] = {}

    async def gain(self, resource: str, owner: str) -> Lock | None:
        try:
            preferred = await self._ask(self._preferred.gain(resource, owner))
        except Unavailable:
            if not self._is_gone():
                raise
            spare = await self._spare.gain(resource, owner)
            return None if spare is None else self._hold(None, spare)
        if preferred is None:
            return None
        spare = None
        try:
            spare = await self._spare.take(resource, owner)
        finally:
            if spare is None:
                with suppress(Unavailable):  # it ends by itself
                    await self._preferred.give_up(preferred)
        return self._hold(preferred, spare)

    async def keep(self, lock: Lock) -> bool:
        held = self._held.get(lock.resource)
        if held is None or held.lock != lock:
            return False
        is_spare, is_preferred = await _told(self._spare.keep(held.spare)), await self._keep_preferred(held)
        if is_spare is None:
            if not is_preferred:
                raise Unavailable("neither lock can be kept")
            return True  # nothing can be decided either, until the spare one's store is back
        if is_spare and held.preferred is None:
            await self._regain_preferred(held)
        elif not is_spare and is_preferred:
            is_spare = await self._regain_spare(held)
        if not is_spare:
            await self._drop(held)
        return is_spare

    async def give_up(self, lock: Lock) -> None:
        held = self._held.get(lock.resource)
        if held is not None and held.lock == lock:
            del self._held[lock.resource]
            try:
                # First, because whoever gains it takes the other as well.
                if held.preferred is not None:
                    await self._soon(self._preferred.give_up(held.preferred))
            finally:
                await self._spare.give_up(held.spare)

    async def leader(self, resource: str) -> str | None:
        return await self._spare.leader(resource)

    async def wait(self, resource: str, seconds: float) -> None:
        if not self._is_gone():
            await self._ask(self._preferred.wait(resource, seconds))
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + min(seconds, self.lives_seconds / PARTS)
        while (left := end - loop.time()) > 0 and await self._spare.leader(resource) is not None:
            await self._spare.wait(resource, left)

    async def close(self) -> None:
        await self._preferred.close()
        await self._spare.close()

    def _hold(self, preferred: Lock | None, spare: Lock) -> Lock:
        lock = preferred or spare
        self._held[lock.resource] = _Held(lock, preferred, spare)
        return lock

    async def _keep_preferred(self, held: _Held) -> bool:
        if held.preferred is None:
            return False
        try:
            if not await self._soon(self._preferred.keep(held.preferred)):
                held.preferred = None
        except Unavailable:
            return False
        return held.preferred is not None

    async def _regain_preferred(self, held: _Held) -> None:
        """If it can be had. If another has it, that one is about to take the spare one."""
        with suppress(Unavailable):
            held.preferred = await self._soon(self._preferred.gain(held.lock.resource, held.lock.owner))

    async def _regain_spare(self, held: _Held) -> bool:
        """Its store was away for longer than it lives, or somebody who does not reach the preferred one has it."""
        try:
            spare = await self._spare.gain(held.lock.resource, held.lock.owner)
        except Unavailable:
            return True  # as before: nothing can be decided
        if spare is not None:
            held.spare = spare
        return spare is not None

    async def _drop(self, held: _Held) -> None:
        """What is left of it, so that it may be gained anew."""
        self._held.pop(held.lock.resource, None)
        if held.preferred is not None:
            with suppress(Unavailable):  # it ends by itself
                await self._soon(self._preferred.give_up(held.preferred))

    def _is_gone(self) -> bool:
        """For longer than a lock lives, so that whoever held it may not do so any more."""
        since = self._away_since
        return since is not None and self._clock.monotonic() - since >= self.lives_seconds

    async def _soon(self, asked: Awaitable[AnswerT]) -> AnswerT:
        """Unavailable also when the store hangs: the spare lock's life runs out meanwhile."""
        return await self._ask(_within(asked, self.lives_seconds / PARTS))

    async def _ask(self, asked: Awaitable[AnswerT]) -> AnswerT:
        try:
            answer = await asked
        except Unavailable as error:
            if self._away_since is None:
                self._away_since = self._clock.monotonic()
            self._absence.noted(error)
            raise
        self._away_since = None
        self._absence.over()
        return answer


async def _within(asked: Awaitable[AnswerT], seconds: float) -> AnswerT:
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except TimeoutError:
        raise Unavailable("no answer in time") from None


async def _told(asked: Awaitable[bool]) -> bool | None:
    """None: nobody can tell."""
    try:
        return await asked
    except Unavailable:
        return None
