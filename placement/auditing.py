"""Writes down what is decided, by operators and by placement itself: before it is done, and what came of it after.

When the first cannot be written, nothing is decided (`Unavailable`). When the second cannot, the decision stands
and is answered: its entry then has no outcome, as after a death in between.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from directory.audit import DONE, AuditLog, NewAuditEntry
from directory.errors import AlreadyExists, DirectoryError
from directory.values import Term
from placement import metrics
from placement.errors import translate
from placement.rules import recording
from placement.rules.roles import OURSELVES
from runtime import logs
from runtime.api.problem import ApiError
from runtime.clock import Clock, SystemClock

log = logs.get("placement.auditing")

CONCLUDE_SECONDS = 2.0
"""For the second entry: whoever made the decision waits for its answer."""
MOST_TARGETS = 20
REFUSALS_AT_ONCE = 100
REFUSALS_PER_SECOND = 1.0
"""Of one person, that are written down; the log of this process has those beyond. They cost nothing to make."""
FORGET_MOST = 1000
FORGET_SECONDS = 600.0


class Recording:
    """A decision whose end is to come."""

    def __init__(self, entry: NewAuditEntry) -> None:
        self.entry = entry

    def __repr__(self) -> str:
        return f"<Recording {self.entry.action} of {self.entry.actor}>"

    def came(self, of_it: Mapping[str, Any], targets: Sequence[str] = ()) -> None:
        """What came of it, and what else it turned out to be about."""
        joined = tuple(dict.fromkeys((*self.entry.targets, *targets)))[:MOST_TARGETS]
        self.entry = replace(self.entry, targets=joined, detail={**self.entry.detail, **of_it})

    def became(self, action: str, why: str) -> None:
        """It was decided otherwise than it was begun."""
        self.entry = replace(self.entry, action=action)
        self.came(recording.detail({"why": why}))


class Audit:
    """The audit log, as placement writes it."""

    def __init__(self, entries: AuditLog, clock: Clock | None = None) -> None:
        self._entries = entries
        self._clock = clock or SystemClock()
        self._allowances: dict[str, tuple[float, float]] = {}

    @contextlib.asynccontextmanager
    async def recorded(self, entry: NewAuditEntry, term: Term | None = None) -> AsyncIterator[Recording]:
        """Around a decision. Unavailable, and NotLeader with a `term`: before anything is done."""
        number = await self._entries.record(entry, term)
        recording = Recording(entry)
        try:
            yield recording
        except Exception as error:
            await self._conclude(number, recording, code(error))
            raise
        # Whoever is cancelled writes nothing more: what came of it is not known.
        await self._conclude(number, recording, DONE)

    def deciding(
        self,
        action: str,
        target: str | Sequence[str] = (),
        detail: Mapping[str, Any] | None = None,
        term: Term | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Recording]:
        """Around what placement decides of its own accord; `target` such as `cell/cell-1`, or several."""
        return self.recorded(_own(action, target, detail), term)

    async def decided(
        self,
        action: str,
        target: str | Sequence[str] = (),
        detail: Mapping[str, Any] | None = None,
        term: Term | None = None,
    ) -> None:
        """Placement decided it of its own accord, and it is done. Unavailable; NotLeader."""
        await self._entries.record(replace(_own(action, target, detail), outcome=DONE), term)

    async def refused(self, entry: NewAuditEntry, error: ApiError) -> None:
        """It was asked for and not begun. Written down if it can be, for nothing has changed."""
        if not self._may_add(entry.actor):
            return
        with contextlib.suppress(DirectoryError, TimeoutError):
            async with asyncio.timeout(CONCLUDE_SECONDS):
                await self._entries.record(replace(entry, outcome=error.code))

    async def forget(self, kept_seconds: float) -> None:
        """Remove what is due, a few at a time, and rest when nothing is left. Unavailable."""
        forgotten = await self._entries.forget(kept_seconds, FORGET_MOST)
        if forgotten:
            log.info("audit_forgotten", entries=forgotten)
        if forgotten < FORGET_MOST:
            await self._clock.sleep(FORGET_SECONDS)

    async def _conclude(self, number: int, recording: Recording, outcome: str) -> None:
        try:
            async with asyncio.timeout(CONCLUDE_SECONDS):
                await self._entries.record(replace(recording.entry, outcome=outcome, concludes=number))
        except AlreadyExists:
            pass  # tried again after it was written
        except (DirectoryError, TimeoutError) as error:
            metrics.UNCONCLUDED.inc()
            log.error("audit_unconcluded", entry=number, outcome=outcome, reason=str(error) or "it took too long")

    def _may_add(self, actor: str) -> bool:
        """Actors are those whom the settings name, so there are few."""
        now = self._clock.monotonic()
        left, at = self._allowances.get(actor, (float(REFUSALS_AT_ONCE), now))
        left = min(float(REFUSALS_AT_ONCE), left + (now - at) * REFUSALS_PER_SECOND)
        self._allowances[actor] = (left - 1.0 if left >= 1.0 else left, now)
        return left >= 1.0


def code(error: Exception) -> str:
    """The code of the problem that the error will be answered as."""
    known = error if isinstance(error, ApiError) else translate(error)
    return "INTERNAL" if known is None else known.code


def _own(action: str, target: str | Sequence[str], detail: Mapping[str, Any] | None) -> NewAuditEntry:
    targets = (target,) if isinstance(target, str) else tuple(target)
    told = recording.detail(detail or {})
    return NewAuditEntry(OURSELVES, "placement", action, targets[:MOST_TARGETS], detail=told)
