"""When a cell is left alone because it fails, and when it is tried again. Pure.

    closed ── enough evidence ──▶ open: every request is refused at once
    open ── its time is over ──▶ half-open: one request at a time goes through, as a probe
    half-open ── a success ──▶ closed        half-open ── a failure ──▶ open, for twice as long

Evidence is many failures, a large share of all requests, and several distinct tenants that suffer. So one tenant's
poisonous requests, or the only two tenants of a cell, never take a cell from anybody.

What is a failure is the caller's to say: the cell's silence, resets and 5xx, never what a client caused.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether requests go through."""

    CLOSED = "all"
    OPEN = "none"
    HALF_OPEN = "one at a time"


class Event(Enum):
    """What moves a breaker."""

    EVIDENCE = "what failed lately is enough to open"
    ELAPSED = "it was open for as long as it was to be"
    SUCCEEDED = "a request was answered"
    FAILED = "a request was not"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.CLOSED, Event.EVIDENCE): State.OPEN,
    (State.OPEN, Event.ELAPSED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.SUCCEEDED): State.CLOSED,
    (State.HALF_OPEN, Event.FAILED): State.OPEN,
}
"""All other events change nothing: what ends while open was sent before, and tells of the past."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What opens a breaker, and for how long."""

    window_seconds: float = 10.0
    failures: int = 10
    share: float = 0.5
    tenants: int = 3
    first_open_seconds: float = 1.0
    longest_open_seconds: float = 5.0
    """One request, of many that are refused anyway, harms no cell; and so it is soon known that it is back."""
    probe_seconds: float = 5.0
    """A probe that is not reported by then counts as lost, and another may go: its client may have left."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Requests, how many of them failed, and how many distinct tenants suffered (counted up to the threshold)."""

    requests: int = 0
    failures: int = 0
    tenants: int = 0


class _Half:
    """Half a window. Of tenants no more are remembered than are needed to open."""

    __slots__ = ("failures", "requests", "tenants")

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self.tenants: set[Hashable] = set()


class Breaker:
    """One cell's breaker. Times are of one monotonic clock, in seconds.

    The window is two halves that rotate, so it looks back between half of its length and all of it.
    """

    __slots__ = (
        "_before",
        "_half_ends_at",
        "_now",
        "_opened_on",
        "_until",
        "closed",
        "open_seconds",
        "state",
        "thresholds",
    )

    def __init__(self, thresholds: Thresholds = Thresholds()) -> None:
        self.thresholds = thresholds
        self.state = State.CLOSED
        self.closed = True
        """The same as `state`, for the hot path: `breaker.closed or breaker.allows(now)`."""
        self.open_seconds = 0.0
        """How long it is or was open last; 0.0 once it closed."""
        self._until = 0.0  # open: when it may be probed; half-open: when the probe counts as lost
        self._opened_on = Evidence()
        self._forget()

    def allows(self, now: float) -> bool:
        """Whether a request may go to the cell. While not closed, True makes that request the probe."""
        if self.closed:
            return True
        if now < self._until:
            return False
        self._apply(Event.ELAPSED, now)
        self._until = now + self.thresholds.probe_seconds
        return True

    def would(self, now: float) -> bool:
        """Whether `allows` would say yes; asking this makes nothing the probe."""
        return self.closed or now >= self._until

    def succeeded(self, now: float) -> None:
        """The cell answered a request."""
        if now >= self._half_ends_at:
            self._rotate(now)
        self._now.requests += 1
        if not self.closed:
            self._apply(Event.SUCCEEDED, now)

    def failed(self, tenant: Hashable, now: float) -> None:
        """The cell failed a request of `tenant`."""
        if now >= self._half_ends_at:
            self._rotate(now)
        half = self._now
        half.requests += 1
        half.failures += 1
        if len(half.tenants) < self.thresholds.tenants:
            half.tenants.add(tenant)
        if not self.closed:
            self._apply(Event.FAILED, now)
        elif self._enough():
            self._opened_on = self.evidence
            self._apply(Event.EVIDENCE, now)

    @property
    def evidence(self) -> Evidence:
        """While closed, what was seen lately; else what it opened on."""
        if not self.closed:
            return self._opened_on
        before, now = self._before, self._now
        tenants = len(before.tenants | now.tenants)
        return Evidence(before.requests + now.requests, before.failures + now.failures, tenants)

    def retry_after_seconds(self, now: float) -> float:
        """When a client that is refused may come again; 0.0 while closed. A probe is over soon, or says more."""
        if self.closed:
            return 0.0
        if self.state is State.HALF_OPEN:
            return self.thresholds.first_open_seconds
        return max(0.0, self._until - now)

    def _enough(self) -> bool:
        before, now, least = self._before, self._now, self.thresholds
        failures = before.failures + now.failures
        if failures < least.failures or failures < least.share * (before.requests + now.requests):
            return False
        return len(before.tenants | now.tenants) >= least.tenants

    def _apply(self, event: Event, now: float) -> None:
        state = TRANSITIONS.get((self.state, event), self.state)
        if state is self.state:
            return
        self.state = state
        self.closed = state is State.CLOSED
        if state is State.OPEN:
            self.open_seconds = self._next_open_seconds()
            self._until = now + self.open_seconds
        elif state is State.CLOSED:
            self.open_seconds = 0.0
            self._forget()

    def _next_open_seconds(self) -> float:
        if not self.open_seconds:
            return self.thresholds.first_open_seconds
        return min(2 * self.open_seconds, self.thresholds.longest_open_seconds)

    def _forget(self) -> None:
        """After it closed, only what happens from then on may open it."""
        self._before, self._now = _Half(), _Half()
        self._half_ends_at = float("-inf")

    def _rotate(self, now: float) -> None:
        half_seconds = self.thresholds.window_seconds / 2
        recent = now < self._half_ends_at + half_seconds
        self._before = self._now if recent else _Half()
        self._now = _Half()
        self._half_ends_at = self._half_ends_at + half_seconds if recent else now + half_seconds
