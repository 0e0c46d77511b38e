"""How many requests a second a tenant may make, and how clients are told. Pure.

The Generic Cell Rate Algorithm (ATM Forum TM 4.0, section 4.4.2, as virtual scheduling): one number a tenant, the
time at which its bucket would be full again. It equals a token bucket of `burst` tokens that fills at
`per_second`, needs no timer, and costs one comparison and one addition a request.

The header fields follow draft-ietf-httpapi-ratelimit-headers-11 (`RateLimit-Policy`, `RateLimit`).
"""

from math import ceil
from typing import Final

POLICY: Final = b"requests"
"""The name of our only policy, by which clients match the two fields."""

SLACK: Final = 5e-3
"""The part of one request that may be missing."""


class Bucket:
    """A tenant's bucket, full at first. Times are of one monotonic clock, in seconds.

    `per_second` must be more than nothing and `burst` at least 1: to block a tenant is no rate.
    """

    __slots__ = ("_earliest", "_full_at", "_interval", "_tolerated", "burst", "per_second")

    def __init__(self, per_second: float, burst: int) -> None:
        self._full_at = float("-inf")
        self._set(per_second, burst)

    def _set(self, per_second: float, burst: int) -> None:
        if not per_second > 0 or burst < 1:
            raise ValueError("a bucket holds at least one request and fills")
        self.per_second = per_second
        self.burst = burst
        self._interval = 1.0 / per_second
        # How long before it would be full again a bucket still gives: what is told, and what is tolerated. The
        # difference swallows rounding, else who waits as told could hear of one nanosecond more.
        self._earliest = (burst - 1) * self._interval
        self._tolerated = self._earliest + SLACK * self._interval

    def take(self, now: float) -> float:
        """0.0 when a request may pass, which counts it; else the seconds until one may, and nothing is counted."""
        full_at = self._full_at
        if full_at <= now:
            self._full_at = now + self._interval
            return 0.0
        if full_at - now > self._tolerated:
            return full_at - now - self._earliest
        self._full_at = full_at + self._interval
        return 0.0

    def put_back(self) -> None:
        """What `take` let pass last was not this tenant's."""
        self._full_at -= self._interval

    def remaining(self, now: float) -> int:
        """How many requests may pass now, one after the other."""
        used = (self._full_at - now) * self.per_second
        return self.burst if used <= 0 else max(0, int(self.burst - used + SLACK))

    def reset_seconds(self, now: float) -> float:
        """How long until the bucket is full again; 0.0 when it is."""
        return max(0.0, self._full_at - now)

    def told(self, now: float) -> bytes:
        """The line by which a client that was let through hears what is left: see `limit_header`."""
        full_in = self._full_at - now
        if full_in <= 0:
            return b'RateLimit: "%b";r=%d;t=0\r\n' % (POLICY, self.burst)
        left = int(self.burst - full_in * self.per_second + SLACK)
        return b'RateLimit: "%b";r=%d;t=%d\r\n' % (POLICY, left if left > 0 else 0, ceil(full_in))

    def change(self, per_second: float, burst: int, now: float) -> None:
        """Another rate from now on. What was used stays used: a change grants nobody a second burst."""
        used = min(max(0.0, (self._full_at - now) * self.per_second), float(self.burst))
        self._set(per_second, burst)
        if used:
            self._full_at = now + min(used, float(burst)) * self._interval


def policy_header(per_second: float, burst: int) -> bytes:
    """The value of `RateLimit-Policy`: `burst` requests in the time in which an empty bucket fills (at least 1 s).

    The window is rounded up, so a client that reads it as an average never goes faster than it may.
    """
    return b'"%b";q=%d;w=%d' % (POLICY, burst, max(1, ceil(burst / per_second - 1e-9)))


def limit_header(remaining: int, seconds: float) -> bytes:
    """The value of `RateLimit`: `remaining` requests for the next `seconds`, rounded up.

    With an answer that lets through, `seconds` is `reset_seconds`; with a refusal it is the wait that `take` told,
    because `Retry-After` must not end before this window does (section 6 of the draft).
    """
    return b'"%b";r=%d;t=%d' % (POLICY, remaining, ceil(seconds))


def retry_after(seconds: float) -> int:
    """The value of `Retry-After`: whole seconds, never too few, at least 1."""
    return max(1, ceil(seconds))
