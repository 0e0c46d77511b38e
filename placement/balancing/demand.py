"""What tenants are expected to take: by the hour of the week, by how they waver, and before anything is known.

For each tenant and each part of the week a mean and a variance are kept, both smoothed: what was measured last
counts ALPHA, what was before that the rest. The *demand* is mean + z·√variance: a tenant that wavers takes more
room than a steady one. Fleets have columns of their own for some times of the week, so those that are busy at
different hours share a cell well. A tenant that suddenly takes far more than is usual for it at this hour is
reckoned with as much more at all hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from directory.rules.plans import plan_of
from placement.balancing.resources import RESOURCES, TENANTS, VARYING, Flags, Floats, Integers, columns

HOURS = 168
BUCKET_HOURS = 4
BUCKETS = HOURS // BUCKET_HOURS
DAYS_A_WEEK, WORKING_DAYS = 7, 5
PARTS_A_DAY = 24 // BUCKET_HOURS
"""Parts of the week, and those of each day."""
ALPHA = 0.3
"""What the latest week counts: after three weeks two thirds are of these."""
NIGHTS, DAYS, EVENINGS, WEEKENDS = "on nights", "on days", "on evenings", "on weekends"
TIMES = (NIGHTS, DAYS, EVENINGS, WEEKENDS)
"""What has columns of its own; hours of Monday to Friday in UTC: 0 to 8, 8 to 16, 16 to 24."""
SURGE = 1.5
"""From so many times the usual on it is a surge: less is the wavering of a day."""
STEEP = 3.0
"""A part of the day is usually at most so many times as busy as its neighbours."""
HUGE = 4.0
"""From so many times the usual on a surge is larger than any difference between working days and weekends."""
NEW_SECONDS = 600.0
"""After so long of measurement a new tenant's plan counts half, after twice as long a quarter, and so on."""
DEFAULT_Z = 1.0
"""How many deviations above its mean a tenant is reckoned with. Those of a cell's tenants rarely meet."""

TIME_OF = np.array(
    [bucket % PARTS_A_DAY // 2 if bucket < WORKING_DAYS * PARTS_A_DAY else 3 for bucket in range(BUCKETS)]
)
"""Which of TIMES each part of the week belongs to."""
PARTS = np.arange(BUCKETS) % PARTS_A_DAY
"""Which part of its day each is."""

PRIORS: Mapping[str, tuple[float, float, float, float]] = {
    "standard": (0.05, 128 * 2**20, 2**30, 1e6),
    "premium": (0.5, 2**30, 20 * 2**30, 10e6),
}
"""CPUs, bytes of memory and of storage, bits a second that a new tenant of a plan is reckoned with."""


@dataclass(frozen=True)
class Measured:
    """tenants × BUCKETS × RESOURCES. A bucket that has never been measured has a `mean` of NaN."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    @classmethod
    def nothing(cls, tenants: int) -> "Measured":
        """Before the first measurement."""
        shape = (tenants, BUCKETS, len(RESOURCES))
        return cls(np.full(shape, np.nan, dtype=np.float32), np.zeros(shape, dtype=np.float32))

    def observe(self, bucket: int, tenants: Integers, value: Floats, variance: Floats) -> None:
        """What tenants took on average in this part of this week, and how that wavered within it. In place."""
        known = self.mean[tenants, bucket]
        # What is so far off is no wavering: the tenant has become another, and is learnt anew.
        first = np.isnan(known) | (value > SURGE * known) | (value < known / SURGE)
        step = np.where(first, 0.0, value - known)
        kept = self.variance[tenants, bucket]
        # From week to week, and within: West's update for a weighted mean.
        between = (1 - ALPHA) * (kept + ALPHA * step**2) + ALPHA * variance
        self.mean[tenants, bucket] = np.where(first, value, known + ALPHA * step)
        self.variance[tenants, bucket] = np.where(first, variance, between)

    def expected(self, prior: Floats, z: float = DEFAULT_Z) -> Floats:
        """tenants × BUCKETS × RESOURCES.

        What was never measured is as in the tenant's other parts of the week, on average; who was never measured
        is reckoned with `prior` (tenants × RESOURCES).
        """
        known = ~np.isnan(self.mean)
        level = np.where(known, self.mean, 0.0) + z * np.sqrt(self.variance)
        counts = known.sum(axis=1)
        average = np.divide(
            np.where(known, level, 0.0).sum(axis=1), counts, out=prior.astype(float).copy(), where=counts > 0
        )
        return np.where(known, level, average[:, None, :])

    def unmeasured(self) -> Flags:
        """Who has never been measured."""
        return np.asarray(np.isnan(self.mean).all(axis=(1, 2)))


def at_times(expected: Floats) -> Floats:
    """tenants × columns(TIMES): what tenants take on average of each time's parts."""
    wide = columns(TIMES)
    found = expected.mean(axis=1)[:, wide.resource]
    for number, resource in enumerate(wide.resource.tolist()):
        if RESOURCES[resource] in VARYING:
            time = number - int(np.flatnonzero(wide.resource == resource)[0])
            found[:, number] = expected[:, time == TIME_OF, resource].mean(axis=1)
    return found  # type: ignore[no-any-return]


def so_far(prior: Floats, recent: Floats, seconds: Floats) -> Floats:
    """tenants × resources, of whom nothing is usual yet: the longer they were measured, the less counts `prior`.

    But never less than they took lately (NaN: not known, as is what was measured for no time at all).
    """
    share = np.exp2(-seconds / NEW_SECONDS)[:, None]
    blended = np.maximum(share * prior + (1 - share) * recent, recent)
    found: Floats = np.where(np.isnan(recent), prior, blended)
    return found


def surging(expected: Floats, recent: Floats, bucket: int, through: float = 0.5) -> Floats:
    """What is expected; of who takes far more now than it does at this hour, so much more at all hours.

    `through` is the share of that part of the week that is over. Near its ends usual is what lies between it and
    its neighbour on most days: the flanks of a day are no surge.

    What was learnt since the surge began is right as it is. Of the rest never more is expected than the tenant
    takes now, or at its busiest hour that is learnt: so at night as much is expected of the day as the day before
    has shown, and not less.
    """
    found = expected.copy()
    rows = np.flatnonzero((recent > SURGE * expected[:, bucket]).any(axis=1))
    level, now = expected[rows], recent[rows]
    days = level.reshape(len(rows), DAYS_A_WEEK, PARTS_A_DAY, level.shape[2])
    usual = level[:, bucket] * _flank(days, bucket, through)
    times = np.divide(now, usual, out=np.ones_like(now), where=(now > SURGE * usual) & (usual > 0))[:, None, :]
    most = np.maximum(now, level.max(axis=1))[:, None, :]
    more = np.maximum(level, np.minimum(level * times, most))
    old = np.where(times > HUGE, days.min(axis=1)[:, PARTS], _least(days))
    found[rows] = np.where(level > np.sqrt(times) * old, level, more)
    return found


def _flank(days: Floats, bucket: int, through: float) -> Floats:
    """tenants × resources: how what is usual at this moment is to what is usual for its part of the week.

    By the least of all days, for some may have been learnt since a surge began; and at most STEEP.
    """
    typical = days.min(axis=1)
    part = bucket % PARTS_A_DAY
    here, neighbour = typical[:, part], typical[:, (part + (1 if through >= 0.5 else -1)) % PARTS_A_DAY]
    ratio = np.divide(neighbour, here, out=np.ones_like(here), where=here > 0)
    flank: Floats = 1 + abs(through - 0.5) * (np.minimum(ratio, STEEP) - 1)
    return flank


def _least(days: Floats) -> Floats:
    """tenants × BUCKETS × resources: the least at that hour of all working days, or of the weekend's.

    Far above it is what was learnt since a surge began, as long as that is less than a week ago.
    """
    week, weekend = days[:, :WORKING_DAYS].min(axis=1), days[:, WORKING_DAYS:].min(axis=1)
    least: Floats = np.where(np.equal(TIME_OF, TIMES.index(WEEKENDS))[:, None], weekend[:, PARTS], week[:, PARTS])
    return least


def bucket_of(hour_of_week: float) -> int:
    """Which part of the week an hour (from Monday midnight, UTC) is in."""
    return int(hour_of_week % HOURS // BUCKET_HOURS)


def prior(plan: str) -> Floats:
    """What a new tenant of the plan is reckoned with."""
    found = np.zeros(len(RESOURCES))
    found[:4] = PRIORS.get(plan, PRIORS[plan_of(plan).name])
    found[TENANTS] = 1.0
    return found
