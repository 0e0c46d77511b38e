"""How many requests a cell may have in flight, learnt from its latency. Pure.

The gradient of Envoy's adaptive concurrency filter: limit ← limit × (unloaded latency × tolerance ÷ latency now) +
√limit, once a window. Not Gradient2 of Netflix's concurrency-limits: its long-term average takes in the queue that
the limit itself allows, so under lasting overload the limit creeps up to its maximum. And unlike Envoy we never
turn everybody away in order to measure. What the cell needs without load is learnt in passing:

- Less than what was known counts by and by, and so does any latency while the limit is far from used.
- Under pressure the limit is halved for a moment now and then, as BBR does to see the bare round trip, and again
  while that brings news. Requests are being refused then anyway, and half a limit keeps most of the cell busy.
- When the limit fell to half in vain, the latency staying what it was, there was no queue: the cell became slower.
  Then what is seen is what it needs. So no slowness makes the limit collapse for ever.

Only answers that did the cell's usual work are sampled: no long polls, streams, upgrades, and no 5xx.
"""

from dataclasses import dataclass
from enum import Enum
from math import sqrt
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the limit moves, and how eagerly."""

    least: int = 4
    most: int = 1_000
    first: int = 50
    tolerance: float = 1.5
    """Latency over what the cell needs unloaded that is not taken for a queue; mixed requests scatter so much."""
    window_seconds: float = 0.1
    window_samples: int = 20
    patience_seconds: float = 10.0
    """After so long a window is closed with whatever is in it; so long, too, lies between two looks."""


class _Phase(Enum):
    STEADY = "the limit follows the gradient"
    SETTLING = "the limit was halved; what comes back was sent before"
    LOOKING = "the limit is halved; what comes back tells what the cell needs"
    RETURNING = "the limit is what it was; what comes back was sent before"


NEARLY_USED: Final = 0.8
"""The share of the limit that must have been in flight for it to grow."""
HALF_USED: Final = 0.5
"""Below this share the limit does not bind, so nothing is learnt of it."""
IN_VAIN: Final = 0.8
"""Half of a queue goes with half of the limit. What keeps this share of its latency had no queue."""
CONFIRMED: Final = 0.1
"""A look that differs from what was known by no more than this share confirms it; else the next look is deeper."""
SMOOTHING: Final = 0.2
"""The weight of a window in the unloaded latency."""
SHORTEST_SECONDS: Final = 1e-6
"""Nothing takes no time, whatever a coarse clock says."""


class Concurrency:
    """One cell's limit. `limit` is to be compared with what is in flight before a request is sent."""

    __slots__ = (
        "_began_at", "_bounds", "_exact", "_looked_at", "_peak", "_phase", "_samples", "_seconds", "_top",
        "_top_seconds", "limit", "unloaded_seconds",
    )  # fmt: skip

    def __init__(self, now: float, bounds: Bounds = Bounds()) -> None:
        self.limit = bounds.first
        self.unloaded_seconds = 0.0
        """What the cell needs without load; 0.0 while unknown."""
        self._bounds = bounds
        self._exact = float(bounds.first)
        self._phase = _Phase.STEADY
        self._looked_at = now - bounds.patience_seconds
        self._top = self._top_seconds = 0.0  # limit and latency when the limit began to fall
        self._open(now)

    def _open(self, now: float) -> None:
        self._began_at = now
        self._seconds = 0.0
        self._samples = 0
        self._peak = 0

    def sample(self, seconds: float, in_flight: int) -> None:
        """A request took `seconds`; `in_flight` counts those on their way when it ended, itself included."""
        self._seconds += seconds
        self._samples += 1
        if in_flight > self._peak:
            self._peak = in_flight

    def adapt(self, now: float) -> bool:
        """Close the window if it is due, and move the limit; whether it was due. Call every 100 ms or so."""
        length, samples = now - self._began_at, self._samples
        if length < self._due_seconds() or not samples:
            return False
        if samples < self._bounds.window_samples and length < self._bounds.patience_seconds:
            return False
        seconds, used = max(self._seconds / samples, SHORTEST_SECONDS), self._peak / self.limit
        self._open(now)
        if self._phase is _Phase.STEADY:
            self._follow(seconds, used, length, samples, now)
        elif self._phase is _Phase.LOOKING:
            self._look(seconds, now)
        else:
            self._phase = _Phase.LOOKING if self._phase is _Phase.SETTLING else _Phase.STEADY
        return True

    def _due_seconds(self) -> float:
        """Two round trips, so that most of what a window sees was sent under the limit of that window."""
        seen = 2 * self._seconds / self._samples if self._samples else 0.0
        return min(max(self._bounds.window_seconds, seen), self._bounds.patience_seconds)

    def _follow(self, seconds: float, used: float, length: float, samples: int, now: float) -> None:
        self._learn(seconds, used, length)
        if used < HALF_USED:
            self._top = 0.0
            return
        gradient = min(1.0, max(0.5, self._bounds.tolerance * self.unloaded_seconds / seconds))
        exact = self._exact * gradient + (sqrt(self._exact) if used >= NEARLY_USED else 0.0)
        # Little's law: so many were really at work, and fewer would leave the cell idle.
        exact = max(exact, min(self._exact, samples / length * self.unloaded_seconds))
        self._move(exact)
        if gradient == 1.0:
            self._top = 0.0
        elif not self._fell_in_vain(seconds) and now - self._looked_at >= self._bounds.patience_seconds:
            self._halve(seconds)

    def _halve(self, seconds: float) -> None:
        """Look whether less would lower the latency, which is `seconds` now."""
        self._phase, self._top_seconds = _Phase.SETTLING, seconds
        self.limit = max(self._bounds.least, self.limit // 2)

    def _learn(self, seconds: float, used: float, length: float) -> None:
        """Take `seconds` into the unloaded latency where it can be that."""
        known = self.unloaded_seconds
        if not known:
            self.unloaded_seconds = seconds
        elif seconds < known:
            self.unloaded_seconds += SMOOTHING * (seconds - known)
        elif used < HALF_USED:
            self.unloaded_seconds += min(1.0, length / self._bounds.patience_seconds) * (seconds - known)

    def _fell_in_vain(self, seconds: float) -> bool:
        """Whether the limit fell to half, or as far as it may, and the latency did not: then that is the need."""
        if not self._top:
            self._top, self._top_seconds = self._exact, seconds
        self._top_seconds = max(self._top_seconds, seconds)
        at_least = self._exact <= self._bounds.least
        if self._exact > self._top / 2 and not at_least:
            return False
        in_vain = at_least or seconds >= IN_VAIN * self._top_seconds
        self._top, self._top_seconds = self._exact, seconds
        if in_vain:
            self._top, self.unloaded_seconds = 0.0, seconds
        return in_vain

    def _look(self, seconds: float, now: float) -> None:
        """Learn from the first whole window under the halved limit."""
        known, in_vain = self.unloaded_seconds, seconds >= IN_VAIN * self._top_seconds
        if seconds < known or in_vain:
            self.unloaded_seconds = seconds
        confirmed = abs(seconds - known) <= CONFIRMED * known
        if not in_vain and not confirmed and self.limit > self._bounds.least:
            self._halve(seconds)
            return
        self._phase, self._looked_at, self._top = _Phase.RETURNING, now, 0.0
        self._move(self._exact)

    def _move(self, exact: float) -> None:
        self._exact = min(float(self._bounds.most), max(float(self._bounds.least), exact))
        self.limit = int(self._exact)
