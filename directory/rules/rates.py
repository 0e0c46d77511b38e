"""Which limits a tenant may be given."""

from directory.errors import BadRate, NotAllowed
from directory.values import Rate, TenantState

MOST_PER_SECOND = 1_000_000.0
MOST_BURST = 1_000_000
"""More than a router process can serve (both): a number above it is a mistake, or means "no limit"."""


def check_rate(rate: Rate | None) -> Rate | None:
    """The rate itself; BadRate when it cannot be one. NaN is greater than nothing, so it cannot."""
    if rate is not None and not (0 < rate.per_second <= MOST_PER_SECOND and 1 <= rate.burst <= MOST_BURST):
        raise BadRate(
            f"a limit has more than 0 and at most {MOST_PER_SECOND:,.0f} requests a second, "
            f"and a burst of 1 to {MOST_BURST:,}"
        )
    return rate


def check_limitable(state: TenantState) -> None:
    """NotAllowed for a deleted tenant: nothing is decided about it any more."""
    if state == "deleted":
        raise NotAllowed("limit is not possible while deleted; possible: nothing")
