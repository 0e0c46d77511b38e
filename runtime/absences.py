"""What a process needs and does not have just now: told without filling the log, asked for at growing intervals.

    away    at once, and again after half a minute, a minute, two minutes … up to an hour
    back    once, if its absence was told

One that comes and goes is told no more often than one that stays away.
"""

import random
from typing import Any

from runtime import metrics
from runtime.backoff import Backoff
from runtime.clock import Clock, SystemClock

FIRST_SECONDS = 30.0
MOST_SECONDS = 3600.0
ASKED_AGAIN = Backoff(initial_seconds=0.5, cap_seconds=5.0, floor_seconds=0.1)
"""Quick at first, as most absences are short; 5 s at most, so that what is back is soon noticed."""


class Absence:
    """Of one thing, called `what` in the log; `about` are more facts for each line."""

    def __init__(self, log: Any, what: str, clock: Clock | None = None, **about: str) -> None:
        self._log, self._told = log, {"what": what, **about}
        self._gauge = metrics.AWAY.labels(what)
        self._clock = clock or SystemClock()
        self._since: float | None = None
        self._failures = 0
        self._is_told = False
        self._interval_seconds = FIRST_SECONDS
        self._quiet_until = self._clock.monotonic()

    def __repr__(self) -> str:
        return f"<Absence {self._told['what']}: {'away' if self.lasts else 'there'}>"

    @property
    def lasts(self) -> bool:
        """Whether it was away when it was asked for last."""
        return self._since is not None

    def noted(self, error: Exception) -> None:
        """It did not answer."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
            self._gauge.inc()
            if now >= self._quiet_until + self._interval_seconds:
                self._interval_seconds = FIRST_SECONDS  # it was there for long
        self._failures += 1
        if now >= self._quiet_until:
            self._is_told = True
            seconds = round(now - self._since, 1)
            self._log.warning("away", **self._told, error=str(error), seconds=seconds, failures=self._failures)
            self._quiet_until = now + self._interval_seconds
            self._interval_seconds = min(MOST_SECONDS, 2 * self._interval_seconds)

    def over(self) -> None:
        """It answered."""
        if self._since is not None:
            self._gauge.dec()
        if self._since is not None and self._is_told:
            seconds = round(self._clock.monotonic() - self._since, 1)
            self._log.info("back", **self._told, seconds=seconds, failures=self._failures)
        self._since, self._failures, self._is_told = None, 0, False

    async def rest(self) -> None:
        """Until it may be asked again."""
        await self._clock.sleep(ASKED_AGAIN.wait_seconds(max(0, self._failures - 1), random.random()))  # noqa: S311 jitter
