"""What becomes of an attempt that brought no answer to pass on. Pure.

A tenant has one home, so nothing is ever tried at another cell "for availability". A request is sent again only
when the cell says that it did nothing (421), or when nobody can tell the difference (idempotent, without a body,
on a kept connection that the cell had closed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"})
"""RFC 9110 section 9.2.2, without TRACE, which is refused."""


class Outcome(Enum):
    """How an attempt ended."""

    NOT_OURS = "the cell answered 421 before any effect"
    REFUSED = "no connection to the cell could be made"
    BUSY = "no connection to the cell came free in time"
    DOWN = "the cell does not answer; nothing was sent"
    OPEN = "the cell fails for many of its tenants; nothing was sent"
    SILENT = "the cell fell silent with the request"
    STALE = "the cell had closed the kept connection on which the request was sent"
    CLOSED = "the cell closed the connection before it answered"
    MALFORMED = "the cell's answer is not HTTP as it must be"
    LATE = "the cell did not answer by the deadline"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What matters about a request when an attempt failed."""

    method: bytes
    has_body: bool
    replayable: bool
    has_idempotency_key: bool
    number: int
    """1 for the first attempt, and for every one of a tenant that was just seen to move."""


@dataclass(frozen=True, slots=True)
class Again:
    """Send it once more to the same cell, on a connection of its own."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the directory where the tenant lives now, then send it once more."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer the client. `unknown` says that the cell may have carried the request out."""

    status: int
    retryable: bool
    unknown: bool


Action = Again | Refresh | GiveUp

UNSENT = frozenset({Outcome.REFUSED, Outcome.BUSY, Outcome.DOWN, Outcome.OPEN})
FAULTS = frozenset({Outcome.REFUSED, Outcome.SILENT, Outcome.CLOSED, Outcome.MALFORMED, Outcome.LATE})
"""They count against the cell. That a kept connection was closed, or that none came free, does not."""
STATUSES: Mapping[Outcome, int] = {
    Outcome.NOT_OURS: 503,
    Outcome.REFUSED: 503,
    Outcome.BUSY: 503,
    Outcome.DOWN: 503,
    Outcome.OPEN: 503,
    Outcome.SILENT: 503,
    Outcome.STALE: 502,
    Outcome.CLOSED: 502,
    Outcome.MALFORMED: 502,
    Outcome.LATE: 504,
}


def decide(outcome: Outcome, attempt: Attempt) -> Action:
    """What to do after `outcome`."""
    idempotent = attempt.method in IDEMPOTENT
    if attempt.number == 1 and outcome is Outcome.NOT_OURS and attempt.replayable:
        return Refresh()
    if attempt.number == 1 and outcome is Outcome.STALE and idempotent and not attempt.has_body:
        return Again()
    if outcome is Outcome.NOT_OURS or outcome in UNSENT:
        return GiveUp(STATUSES[outcome], retryable=True, unknown=False)
    return GiveUp(STATUSES[outcome], retryable=idempotent or attempt.has_idempotency_key, unknown=True)
