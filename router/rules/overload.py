"""Which requests are shed because the process itself is late. Pure.

A router has one thread. When it has more to do than it can, everything waits in the kernel's queues, the requests
that will be answered too late and those that nobody waits for any more alike. How late the event loop is with what
it meant to do at a set time tells that before anything else does, and costs one timer for all connections. To
refuse a request is an order of magnitude cheaper than to pass it on, so it is refused at once.
"""

from math import exp

CALM_SECONDS = 0.1
"""Lateness that a healthy loop shows now and then; below it nothing is shed."""
MOST_SECONDS = 1.0
"""Lateness at which everything is shed: nobody should wait so long for a mere pass on."""
SMOOTHING_SECONDS = 0.5
"""A change of lateness is believed to two thirds after so long: one slow callback is no overload."""


class Lag:
    """The loop's own lateness, smoothed, and what share of requests it costs.

    `share` is between 0.0 and 1.0 and grows in a straight line from `calm_seconds` to `most_seconds`.
    """

    __slots__ = ("_beaten_at", "_before_seconds", "_calm_seconds", "_range_seconds", "late_seconds", "share")

    def __init__(self, *, calm_seconds: float = CALM_SECONDS, most_seconds: float = MOST_SECONDS) -> None:
        if not 0 <= calm_seconds < most_seconds:
            raise ValueError("what is calm must be less than what is too much")
        self.late_seconds = 0.0
        """Smoothed."""
        self.share = 0.0
        """Of requests that are shed; 0.0 in all normal times, so that the hot path may test it alone."""
        self._calm_seconds = calm_seconds
        self._range_seconds = most_seconds - calm_seconds
        self._beaten_at = float("-inf")
        self._before_seconds = 0.0

    def beat(self, late_seconds: float, now: float) -> None:
        """A timer fired `late_seconds` too late.

        What counts is the lesser of two beats in a row: a loop that stood still once is late, and then is not. The
        longer since the last beat, the more it weighs: a loop that cannot keep up comes with few.
        """
        late_seconds, self._before_seconds = min(late_seconds, self._before_seconds), late_seconds
        weight = 1.0 - exp((self._beaten_at - now) / SMOOTHING_SECONDS) if self._beaten_at < now else 0.0
        self._beaten_at = max(now, self._beaten_at)
        self.late_seconds += weight * (max(0.0, late_seconds) - self.late_seconds)
        self.share = min(1.0, max(0.0, (self.late_seconds - self._calm_seconds) / self._range_seconds))

    def sheds(self, roll: float) -> bool:
        """Whether a request is refused; `roll` is a fresh random number of [0, 1).

        A caller that has priorities rolls low for what should go first: 0.0 is shed as soon as anything is.
        """
        return roll < self.share
