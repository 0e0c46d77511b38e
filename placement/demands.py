"""What tenants are expected to take, for whoever places or plans: as was measured, else as their plan lets expect.

Nobody waits for measurements, and nothing fails without them. A tenant of whom nothing is known is reckoned with
what its plan lets expect; so is each resource of which nothing is known.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from directory import loads as kept
from directory.errors import Unavailable
from directory.loads import MEASURED
from directory.rules.periods import PERIODS_A_WEEK, part_of_week, period_of, through
from directory.rules.plans import PLANS, plan_of
from placement.balancing.demand import TIMES, Measured, at_times, prior, so_far, surging
from placement.balancing.resources import RESOURCES, Flags, Floats, Integers, columns
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.demands")
FRESH_SECONDS = 30.0
"""For so long what was read is good enough: it changes by the minute."""
AT_ONCE = 20_000
"""Tenants that are reckoned with at once: of a million, arrays would take gigabytes."""
LEAST_SHARE = 0.01
"""Of what its plan lets expect, a tenant is always reckoned with so much: who sleeps may wake."""
SURGING_SHARE = 0.1
"""Less than that of what its plan lets expect is no surge, however little was usual."""
TOP_RANK = max(plan.rank for plan in PLANS.values())
REVENUE, TOP_TIER, STORAGE = (RESOURCES.index(name) for name in ("revenue", "top_tier", "storage"))
_WIDE = columns(TIMES)
FloatT = TypeVar("FloatT", np.float32, np.float64)
_MOST_NAME_BYTES = 40
_SHARED = len(MEASURED)
"""The first of RESOURCES are those that are measured, in the same order."""


@dataclass(frozen=True)
class Loads:
    """What was measured, by tenant in the order of their names; NaN where nothing is known.

    `usual` is tenants × BUCKETS × MEASURED, `recent` tenants × RESOURCES, `bytes` what moving each would carry.
    """

    tenants: Sequence[str]
    usual: Measured
    recent: Floats
    bytes: Floats
    at: datetime | None
    seconds: Floats | None = None
    """For how long each was measured, as far as nothing is usual for it yet; None: nobody was."""

    @classmethod
    def nothing(cls) -> "Loads":
        """Before the first measurement."""
        weeks = kept.nothing_usual(0)
        return cls([], Measured(weeks, np.zeros_like(weeks)), np.zeros((0, len(RESOURCES))), np.zeros(0), None)

    @cached_property
    def measured(self) -> Measured:
        """The same with all RESOURCES, of which those that are not measured are NaN."""
        missing = ((0, 0), (0, 0), (0, len(RESOURCES) - _SHARED))
        return Measured(
            np.pad(self.usual.mean, missing, constant_values=np.nan), np.pad(self.usual.variance, missing)
        )

    @cached_property
    def _names(self) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
        return np.array([name.encode() for name in self.tenants], dtype=f"S{_MOST_NAME_BYTES}")

    def rows(self, tenants: Sequence[str]) -> Integers:
        """Where each of them is; −1: nothing is known of it."""
        if tenants is self.tenants:
            return np.arange(len(tenants))
        wanted = np.array([name.encode() for name in tenants], dtype=f"S{_MOST_NAME_BYTES}")
        if not len(self._names):
            return np.full(len(wanted), -1)
        places = np.minimum(np.searchsorted(self._names, wanted), len(self._names) - 1)
        return np.where(self._names[places] == wanted, places, -1)

    def known(self, tenants: Sequence[str]) -> Flags:
        """Of whom any part of a week was measured."""
        rows = self.rows(tenants)
        found = np.zeros(len(rows), dtype=np.bool_)
        found[rows >= 0] = ~self.usual.unmeasured()[rows[rows >= 0]]
        return found

    def carried(self, tenants: Sequence[str]) -> Floats:
        """The bytes that a move of each would carry; NaN where not known."""
        return _taken(self.bytes, self.rows(tenants))


@dataclass(frozen=True)
class Demand:
    """What tenants are expected to take, tenants × columns(TIMES); what moving them carries; who was measured.

    `told`: of whom any cell has ever told anything; None: nobody knows.
    """

    expected: Floats
    bytes: Floats
    measured: Flags
    told: Flags | None = None


class Demands:
    """The loads of the directory, read whole and kept for some seconds.

    After the first read nobody waits for somebody else's.
    """

    def __init__(
        self, loads: kept.Loads, clock: Clock | None = None, fresh_seconds: float = FRESH_SECONDS
    ) -> None:
        self._loads, self._clock, self._fresh_seconds = loads, clock or SystemClock(), fresh_seconds
        self._alone = asyncio.Lock()
        self._read_at: float | None = None
        self._known = Loads.nothing()

    def __repr__(self) -> str:
        return f"<Demands of {len(self._known.tenants)} tenants>"

    async def read(self) -> Loads:
        """What is known. While the directory is away that is what was known before; it never fails for that."""
        if self._alone.locked() and self._read_at is not None:
            return self._known  # of a large fleet a read takes a while
        async with self._alone:
            now = self._clock.monotonic()
            if self._read_at is None or now - self._read_at >= self._fresh_seconds:
                try:
                    self._known = await self._all()
                except Unavailable as error:
                    log.warning("loads_not_read", error=str(error))
                self._read_at = self._clock.monotonic()
            return self._known

    async def demand(self, tenants: Sequence[str], plans: Sequence[str], now: datetime) -> Demand:
        """Of these tenants, in this order. Whose rows are not known carries what storage it is reckoned with."""
        loads = await self.read()

        def reckoned() -> Demand:
            found, carried = expected(loads, tenants, plans, now), loads.carried(tenants)
            held = found[:, _WIDE.resource == STORAGE][:, 0]
            told = loads.rows(tenants) >= 0
            return Demand(found, np.where(np.isnan(carried), held, carried), loads.known(tenants), told)

        # Arrays of a few are done sooner than a thread is begun.
        return await asyncio.to_thread(reckoned) if len(tenants) > AT_ONCE // 20 else reckoned()

    async def _all(self) -> Loads:
        filling, page = _Filling(len(self._known.tenants) + kept.MOST_AT_ONCE), await self._loads.page()
        while True:
            if filling.lacks(page):
                await asyncio.to_thread(filling.grow)
            filling.add(page)
            if len(page.tenants) < kept.MOST_AT_ONCE:
                return filling.loads()
            page = await self._loads.page(page.tenants[-1])


class _Filling:
    """Loads that come page by page, each copied once: of a million tenants they take more than a gigabyte.

    There is room for as many as there were, and some more; room that nobody wrote to costs no memory.
    """

    def __init__(self, room: int) -> None:
        self._tenants: list[str] = []
        self._at: datetime | None = None
        week = (PERIODS_A_WEEK, _SHARED)
        self._mean, self._variance = (np.empty((room, *week), dtype=np.float32) for _ in range(2))
        self._recent = np.empty((room, len(RESOURCES)))
        self._bytes, self._seconds = np.empty(room), np.empty(room)

    def lacks(self, page: kept.Page) -> bool:
        """Room for it."""
        return len(self._tenants) + len(page.tenants) > len(self._bytes)

    def grow(self) -> None:
        """For twice as many, and a page at least; that copies all that came, so in a thread."""
        self._mean, self._variance = self._larger(self._mean), self._larger(self._variance)
        self._recent, self._bytes = self._larger(self._recent), self._larger(self._bytes)
        self._seconds = self._larger(self._seconds)

    def add(self, page: kept.Page) -> None:
        """The next ones by name."""
        some = slice(len(self._tenants), len(self._tenants) + len(page.tenants))
        self._mean[some], self._variance[some] = page.mean, page.variance
        self._recent[some, :_SHARED], self._recent[some, _SHARED:] = page.recent, np.nan
        self._bytes[some], self._seconds[some] = page.bytes, page.seconds
        self._tenants.extend(page.tenants)
        self._at = max((at for at in (self._at, page.at) if at is not None), default=None)

    def loads(self) -> Loads:
        """All that came."""
        some = slice(len(self._tenants))
        return Loads(
            self._tenants,
            Measured(self._mean[some], self._variance[some]),
            *(self._recent[some], self._bytes[some], self._at, self._seconds[some]),
        )

    def _larger(self, known: NDArray[FloatT]) -> NDArray[FloatT]:
        larger = np.empty((2 * len(known) + kept.MOST_AT_ONCE, *known.shape[1:]), dtype=known.dtype)
        larger[: len(self._tenants)] = known[: len(self._tenants)]
        return larger


def of_one(load: kept.Load | None) -> Loads:
    """Of one tenant alone."""
    if load is None:
        return Loads.nothing()
    weeks = kept.nothing_usual(1) if load.usual is None else load.usual[None]
    wavers = np.zeros_like(weeks) if load.variance is None else load.variance[None]
    recent = np.full((1, len(RESOURCES)), np.nan)
    for number, value in enumerate((load.cpus, load.memory_bytes, load.storage_bytes, load.network_bits)):
        recent[0, number] = np.nan if value is None else value
    carried = np.nan if load.row_bytes is None else load.row_bytes
    seconds = np.array([load.measured_seconds])
    return Loads([load.tenant_id], Measured(weeks, wavers), recent, np.array([carried]), load.measured_at, seconds)


def expected(
    loads: Loads,
    tenants: Sequence[str],
    plans: Sequence[str],
    now: datetime,
    *,
    revenue: Sequence[float] | Floats | None = None,
) -> Floats:
    """tenants × columns(TIMES): what they are reckoned with. Pure; of a million it takes seconds, so in a thread.

    `revenue`: of each, otherwise nothing.
    """
    rows, priors = loads.rows(tenants), _priors(plans)
    if revenue is not None:
        priors[:, REVENUE] = revenue
    found = np.zeros((len(rows), len(_WIDE)))
    part, share = part_of_week(period_of(now)), through(now)
    for start in range(0, len(rows), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found[some] = _expected(loads, rows[some], priors[some], part, share)
    return found


def _expected(loads: Loads, rows: Integers, priors: Floats, part: int, share: float) -> Floats:
    shared = priors[:, :_SHARED]
    usual = Measured(_taken(loads.usual.mean, rows), np.nan_to_num(_taken(loads.usual.variance, rows)))
    recent = _taken(loads.recent, rows)[:, :_SHARED]
    seconds = np.zeros(len(rows)) if loads.seconds is None else np.nan_to_num(_taken(loads.seconds, rows))
    level = np.maximum(usual.expected(so_far(shared, recent, seconds)), LEAST_SHARE * shared[:, None, :])
    recent = np.nan_to_num(recent)
    recent[recent <= SURGING_SHARE * shared] = 0.0
    whole = np.broadcast_to(priors[:, None, :], (len(rows), PERIODS_A_WEEK, len(RESOURCES))).copy()
    whole[:, :, :_SHARED] = surging(level, recent, part, share)
    return at_times(whole)


def _priors(plans: Sequence[str]) -> Floats:
    names, which = np.unique(np.array(plans, dtype=object).astype(str), return_inverse=True)
    of_plans = np.zeros((len(names), len(RESOURCES)))
    for number, name in enumerate(names.tolist()):
        of_plans[number] = prior(name)
        of_plans[number, TOP_TIER] = plan_of(name).rank == TOP_RANK
    return of_plans[which]


def _taken(values: NDArray[FloatT], rows: Integers) -> NDArray[FloatT]:
    """The rows of `values`; NaN for those that are nowhere."""
    found = np.full((len(rows), *values.shape[1:]), np.nan, dtype=values.dtype)
    found[rows >= 0] = values[rows[rows >= 0]]
    return found
