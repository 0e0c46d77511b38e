"""How long to wait before trying again: exponential with full jitter and a cap. Pure.

Full jitter spreads callers evenly over the whole interval, which drains a recovering server's
queue fastest (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Attempt n (from 0) waits between `floor_seconds` and min(cap, initial × factor^n)."""

    initial_seconds: float = 0.1
    cap_seconds: float = 5.0
    factor: float = 2.0
    floor_seconds: float = 0.01

    def ceiling_seconds(self, attempt: int) -> float:
        """The longest wait before attempt `attempt` + 1."""
        # Past this exponent every sensible factor has reached the cap; it keeps the power finite.
        return min(self.cap_seconds, self.initial_seconds * self.factor ** min(attempt, 64))

    def wait_seconds(self, attempt: int, chance: float) -> float:
        """The wait for a `chance` in [0, 1) that the caller draws."""
        return max(self.floor_seconds, self.ceiling_seconds(attempt) * chance)
