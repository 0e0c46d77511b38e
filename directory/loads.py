"""The seam of loads: what tenants take from their cells. Whoever implements it keeps these promises:

- a measurement counts once however often it comes, from however many placements, and whoever dies in between
- a measurement from a cell in which the tenant does not live is not counted, as the assignment says at that moment
- one row a tenant, and it goes with its assignment
- when the store is away, calls raise `Unavailable` in time; what did not arrive is told by the next measurement

Cells tell counters that only grow, from a `start` on; a row keeps those that it was told last. The first ones of a
start, or of another cell, are where counting begins. Rates add up in the part of the week that goes on
(`rules.periods`); whoever finds that it has ended puts them into what is usual then, in one step.

Rates are smoothed over SMOOTHED_SECONDS: what a tenant took *lately*. Of who is new and was measured for less than
that, it is the mean of all that time: its first minute counts no more than the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from directory.rules.periods import PERIOD_SECONDS, PERIODS_A_WEEK

Floats: TypeAlias = NDArray[np.float64]
Weeks: TypeAlias = NDArray[np.float32]
"""tenants × PERIODS_A_WEEK × MEASURED; NaN where never measured."""

MEASURED = ("cpu", "memory", "storage", "network")
"""CPUs, bytes, bytes, bits a second: the order of all arrays here."""
SMOOTHED_SECONDS = 900.0
"""Two thirds of what is told as lately are of this time."""
LONGEST_SECONDS = float(PERIOD_SECONDS)
"""A mean over a longer time says nothing of a part of the week."""
IDLE_CPUS, IDLE_BITS, IDLE_SECONDS = 1e-4, 100.0, 1800.0
"""Who took less than that lately, and nothing since, is written only so often."""
MOST_AT_ONCE = 5000
"""Tenants in one call that writes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one cell told of each tenant: counters since `start`, `age_seconds` after it; what it holds, or NaN.

    `database_bytes` is NaN from a cell that does not count it.
    """

    cell_id: str
    start: str
    age_seconds: float
    tenants: Sequence[str]
    cpu_seconds: Sequence[float]
    network_bytes: Sequence[float]
    requests: Sequence[float]
    database_seconds: Sequence[float]
    job_seconds: Sequence[float]
    memory_bytes: Sequence[float]
    storage_bytes: Sequence[float]
    row_bytes: Sequence[float]
    database_bytes: Sequence[float]


@dataclass(frozen=True, slots=True)
class Ended:
    """Tenants of whom a part of the week has ended, and all that was usual before.

    `value` and `variance` (tenants × MEASURED) are what they took in it: mean and variance, NaN where not known.
    `seconds`: how much of it was measured.
    """

    tenants: Sequence[str]
    periods: Sequence[int]
    seconds: Sequence[float]
    value: Floats
    within: Floats
    mean: Weeks
    variance: Weeks


@dataclass(frozen=True, slots=True)
class Load:
    """What one tenant took lately; None: not known, or not yet. `row_bytes` is what a move would carry.

    `database_share` and `job_share`: how many transactions were open and how much work went on, at any moment on
    average. `database_bits`: a second, both ways between its cell and the database.
    `usual` and its variance are PERIODS_A_WEEK × MEASURED, None before the first part of a week has ended.
    """

    tenant_id: str
    cell_id: str
    measured_at: datetime
    cpus: float | None
    memory_bytes: float | None
    storage_bytes: float | None
    row_bytes: float | None
    network_bits: float | None
    request_rate: float | None
    database_share: float | None
    database_bits: float | None
    job_share: float | None
    measured_seconds: float = 0.0
    """Of the part of the week that goes on: for how long it was measured."""
    usual: Weeks | None = field(repr=False, compare=False, default=None)
    variance: Weeks | None = field(repr=False, compare=False, default=None)


@dataclass(frozen=True, slots=True)
class CellLoad:
    """What a cell's tenants took lately, all together: of how many of them it is known, by resource.

    `database_bits` None: not known of any.
    """

    tenants: int
    measured: int
    memory_known: int
    storage_known: int
    cpus: float
    memory_bytes: float
    storage_bytes: float
    network_bits: float
    request_rate: float
    database_share: float
    database_bits: float | None
    job_share: float
    measured_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some tenants by name. `recent` is tenants × MEASURED, `bytes` what a move carries; NaN where not known.

    `seconds`: for how long each was measured in the part of the week that goes on.
    """

    tenants: Sequence[str]
    recent: Floats
    bytes: Floats
    seconds: Floats
    mean: Weeks
    variance: Weeks
    at: datetime | None


class Loads(Protocol):
    """Of all tenants that live anywhere."""

    async def measure(self, reading: Reading, at: datetime) -> int:
        """Take in what a cell told; how many rows that changed. At most MOST_AT_ONCE tenants. Unavailable."""

    async def ended(self, before: int, most: int = MOST_AT_ONCE) -> Ended:
        """Some tenants of whom a part of the week before period `before` waits to be closed. Unavailable."""

    async def close(self, ended: Ended, mean: Weeks, variance: Weeks, now: int) -> int:
        """From now on that is usual; nothing for those whom somebody else has closed. How many. Unavailable."""

    async def page(self, after: str = "", limit: int = MOST_AT_ONCE) -> Page:
        """Tenants whose name is greater than `after`, in the order of their names. Unavailable."""

    async def load(self, tenant_id: str) -> Load | None:
        """None: never measured. Unavailable."""

    async def cell(self, cell_id: str) -> CellLoad:
        """Of those that live there now, wherever they were measured. Unavailable."""


def nothing_usual(tenants: int) -> Weeks:
    """Before the first part of a week has ended."""
    return np.full((tenants, PERIODS_A_WEEK, len(MEASURED)), np.nan, dtype=np.float32)
