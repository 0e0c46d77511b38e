"""How much may be copied out of a source at once, by how long commits take there. Pure.

What a source bears is found as TCP finds what a network bears, by additive increase and multiplicative decrease
(Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988; that all get their share of it: Chiu and Jain, 1989).
The sign that it is too much is latency against what is usual without us (TCP Vegas, 1994; Netflix, "Performance
Under Load", 2018), so nothing has to fail first.

- The usual is learnt while nothing is copied. A held copy leaves gaps, so it follows what the source's clients do.
- Recent commits are judged a window at a time. Too slow are those beyond what the usual median, or the usual
  slowest tenth, allow; a window with more of them than chance explains is a slow one. So neither outliers nor
  noise of whatever size hold a copy.
- There is a floor, and a rest is bounded: a move never stands still for ever.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

WINDOW = 20
"""Commits that are judged together."""
LEARNT = 20
"""So many are needed to know what is usual."""
MOST_USUAL = 60
"""The latest so many are remembered."""
PARTS = (0.5, 0.9)
"""The middle, which noise hardly moves; and the slow end, which clients notice first."""
CHANCE = 2.5
"""Standard deviations: a source that is as usual has a slow window in a hundred."""
BACK_OFF = 0.5
STEP = 1.0
STEP_OF_ONE = 0.1
"""Below one chunk at once, of the time."""
MOST_REST_SECONDS = 30.0
"""After one chunk, however long it took."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a source has to bear, and what a copy gets in any case."""

    rise: float = 1.1
    """Commits may take so many times as long as usual,"""
    tolerance_seconds: float = 0.005
    """and so much longer: what clients do not notice is no reason to hold a copy."""
    least: float = 0.1
    """Of the time, in which one chunk is copied in any case. 1: a copy is held to one chunk, and never rests."""
    most: float = 64.0
    """Chunks at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known of a source, and what follows from it."""

    limit: float
    """At least 1: so many chunks at once. Below: one, for this share of the time."""
    usual: tuple[float, ...] = ()
    """Seconds that commits took while nothing was copied."""
    recent: tuple[float, ...] = ()
    """While something was, since the last window was judged."""
    peak: int = 0
    """Chunks that were on their way at once in that time."""

    @property
    def learnt(self) -> bool:
        """Whether it is known what is usual."""
        return len(self.usual) >= LEARNT

    @property
    def at_once(self) -> int:
        """Chunks that may be on their way."""
        return max(1, int(self.limit))

    @property
    def share(self) -> float:
        """Of a chunk's usual size: the shorter it is, the sooner it is known what it does to the source."""
        return min(1.0, self.limit)

    def rest_seconds(self, took_seconds: float) -> float:
        """After a chunk that took so long, until the next."""
        if self.limit >= 1:
            return 0.0
        return min(MOST_REST_SECONDS, max(0.0, took_seconds) * (1 / self.limit - 1))


def begin(bounds: Bounds) -> Pace:
    """Nothing is held before there is a reason."""
    return Pace(limit=bounds.most)


def sampled(pace: Pace, seconds: float, chunks: int, bounds: Bounds) -> Pace:
    """After a commit took so long, while so many chunks were on their way."""
    if not chunks:
        return replace(pace, usual=(*pace.usual, seconds)[-MOST_USUAL:])
    if not pace.learnt:
        return pace
    pace = replace(pace, recent=(*pace.recent, seconds), peak=max(pace.peak, chunks))
    if is_slow(pace.usual, pace.recent, bounds):
        # From what there really was: a limit that nobody made use of says nothing.
        limit = max(bounds.least, min(pace.limit, float(pace.peak)) * BACK_OFF)
        return replace(pace, limit=limit, recent=(), peak=0)
    if len(pace.recent) < WINDOW:
        return pace
    usual = pace.usual
    if is_fast(usual, pace.recent):
        # It takes less than that even while we copy, so what was learnt is not true any more.
        usual = (*usual, *pace.recent)[-MOST_USUAL:]
    limit = min(pace.limit + STEP, bounds.most) if pace.limit >= 1 else min(pace.limit + STEP_OF_ONE, 1.0)
    return replace(pace, limit=limit, usual=usual, recent=(), peak=0)


def is_slow(usual: Sequence[float], recent: Sequence[float], bounds: Bounds) -> bool:
    """Whether more of the recent ones are too slow than chance explains; known before the window is full."""
    for part in PARTS:
        allowed = quantile(usual, part) * bounds.rise + bounds.tolerance_seconds
        if sum(each > allowed for each in recent) > _by_chance(1 - part, len(usual)):
            return True
    return False


def is_fast(usual: Sequence[float], recent: Sequence[float]) -> bool:
    """The opposite, by the middle: hardly any takes as long as usual."""
    middle = quantile(usual, 0.5)
    return sum(each < middle for each in recent) > _by_chance(0.5, len(usual))


def _by_chance(part: float, learnt: int) -> float:
    """So many of a window may be beyond a quantile that itself is known from so many only."""
    spread = math.sqrt(WINDOW * part * (1 - part) * (1 + WINDOW / max(1, learnt)))
    return WINDOW * part + CHANCE * spread


def quantile(values: Sequence[float], part: float) -> float:
    """The value that this part of them does not exceed, roughly; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
