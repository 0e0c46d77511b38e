"""The twin of loads in memory: the same promises and errors."""

import math
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

import numpy as np

from directory.loads import (
    IDLE_BITS,
    IDLE_CPUS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_AT_ONCE,
    SMOOTHED_SECONDS,
    CellLoad,
    Ended,
    Load,
    Page,
    Reading,
    Weeks,
    nothing_usual,
)
from directory.memory import MemoryDirectory
from directory.rules.periods import period_of

LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class _Counters:
    cpu_seconds: float
    network_bytes: float
    requests: float
    database_seconds: float
    job_seconds: float
    database_bytes: float


@dataclass(slots=True)
class _Row:
    load: Load
    start: str
    age_seconds: float
    counters: _Counters
    period: int
    seconds: float = 0.0
    sums: tuple[float, float] = (0.0, 0.0)
    squares: tuple[float, float] = (0.0, 0.0)


class MemoryLoads:
    """`Loads` of a `MemoryDirectory`."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._rows: dict[str, _Row] = {}
        self._weeks: dict[str, tuple[Weeks, Weeks]] = {}

    async def measure(self, reading: Reading, at: datetime) -> int:
        changed = 0
        for number, tenant_id in enumerate(reading.tenants):
            if self._home(tenant_id) == reading.cell_id:
                changed += self._measured(reading, number, tenant_id, at)
        return changed

    def _measured(self, reading: Reading, number: int, tenant_id: str, at: datetime) -> bool:
        told = _Counters(*(getattr(reading, each.name)[number] for each in fields(_Counters)))
        memory_bytes, storage_bytes = _known(reading.memory_bytes[number]), _known(reading.storage_bytes[number])
        row_bytes, period = _known(reading.row_bytes[number]), period_of(at)
        row = self._rows.get(tenant_id)
        if row is None:
            held = (memory_bytes, storage_bytes, row_bytes)
            load = Load(tenant_id, reading.cell_id, at, None, *held, None, None, None, None, None)
            self._rows[tenant_id] = _Row(load, reading.start, reading.age_seconds, told, period)
            return True
        follows = (row.load.cell_id, row.start) == (reading.cell_id, reading.start)
        if follows and not self._is_news(row, reading.age_seconds, told, at):
            return False
        if follows:
            passed, is_new = max(1.0, reading.age_seconds - row.age_seconds), tenant_id not in self._weeks
            row.load = _followed(row, told, passed, period, is_new=is_new)
        row.load = replace(
            row.load,
            cell_id=reading.cell_id,
            measured_at=at,
            memory_bytes=row.load.memory_bytes if memory_bytes is None else memory_bytes,
            storage_bytes=row.load.storage_bytes if storage_bytes is None else storage_bytes,
            row_bytes=row.load.row_bytes if row_bytes is None else row_bytes,
        )
        if math.isnan(told.database_bytes):
            row.load = replace(row.load, database_bits=None)
        row.start, row.age_seconds, row.counters = reading.start, reading.age_seconds, told
        return True

    def _is_news(self, row: _Row, age_seconds: float, told: _Counters, at: datetime) -> bool:
        if age_seconds < row.age_seconds + 1 or (row.seconds > 0 and row.period < period_of(at)):
            return False
        load, known = row.load, row.counters
        was_idle = (
            load.cpus is not None
            and load.network_bits is not None
            and load.cpus < IDLE_CPUS
            and load.network_bits < IDLE_BITS
        )
        same = (known.cpu_seconds, known.network_bytes, known.requests) == (
            *(told.cpu_seconds, told.network_bytes, told.requests),
        )
        fresh = timedelta() <= at - load.measured_at <= timedelta(seconds=IDLE_SECONDS)
        return not (was_idle and same and fresh)

    async def ended(self, before: int, most: int = MOST_AT_ONCE) -> Ended:
        self._forget()
        rows = sorted(
            (row for row in self._rows.values() if row.period < before and row.seconds > 0),
            key=lambda row: (row.period, row.load.tenant_id),
        )[:most]
        value, within = np.full((2, len(rows), 4), np.nan)
        for number, row in enumerate(rows):
            means = [total / row.seconds for total in row.sums]
            value[number] = [means[0], _number(row.load.memory_bytes), _number(row.load.storage_bytes), means[1]]
            spread = [
                max(0.0, square / row.seconds - mean**2) for square, mean in zip(row.squares, means, strict=True)
            ]
            within[number] = [spread[0], 0.0, 0.0, spread[1]]
        names = [row.load.tenant_id for row in rows]
        mean, variance = self._usual(names)
        return Ended(
            *(names, [row.period for row in rows], [row.seconds for row in rows]), value, within, mean, variance
        )

    async def close(self, ended: Ended, mean: Weeks, variance: Weeks, now: int) -> int:
        closed = 0
        for number, tenant_id in enumerate(ended.tenants):
            row = self._rows.get(tenant_id)
            if row is None or (row.period, row.seconds) != (ended.periods[number], ended.seconds[number]):
                continue
            row.period, row.seconds, row.sums, row.squares = now, 0.0, (0.0, 0.0), (0.0, 0.0)
            self._weeks[tenant_id] = mean[number].astype(np.float32), variance[number].astype(np.float32)
            closed += 1
        return closed

    async def page(self, after: str = "", limit: int = MOST_AT_ONCE) -> Page:
        self._forget()
        names = sorted(name for name in self._rows if name > after)[:limit]
        loads = [self._rows[name].load for name in names]
        recent = np.array(
            [
                [_number(value) for value in (load.cpus, load.memory_bytes, load.storage_bytes, load.network_bits)]
                for load in loads
            ]
        ).reshape(len(loads), 4)
        return Page(
            *(names, recent, np.array([_number(load.row_bytes) for load in loads], dtype=float)),
            np.array([self._rows[name].seconds for name in names], dtype=float),
            *self._usual(names),
            at=max((load.measured_at for load in loads), default=None),
        )

    async def load(self, tenant_id: str) -> Load | None:
        self._forget()
        row = self._rows.get(tenant_id)
        if row is None:
            return None
        known, load = self._weeks.get(tenant_id), replace(row.load, measured_seconds=row.seconds)
        return load if known is None else replace(load, usual=known[0].copy(), variance=known[1].copy())

    async def cell(self, cell_id: str) -> CellLoad:
        self._forget()
        living = await self._directory.tenants(limit=1_000_000, cell_id=cell_id)
        loads = [row.load for tenant in living if (row := self._rows.get(tenant.tenant_id)) is not None]
        known = {
            name: [value for load in loads if (value := getattr(load, name)) is not None]
            for name in (
                *("cpus", "memory_bytes", "storage_bytes", "network_bits"),
                *("request_rate", "database_share", "job_share"),
            )
        }
        passed = [load.database_bits for load in loads if load.database_bits is not None]
        return CellLoad(
            *(len(living), len(known["cpus"]), len(known["memory_bytes"]), len(known["storage_bytes"])),
            **{name: sum(values) for name, values in known.items()},
            database_bits=sum(passed) if passed else None,
            measured_at=max((load.measured_at for load in loads), default=None),
        )

    def _usual(self, names: list[str]) -> tuple[Weeks, Weeks]:
        mean, variance = nothing_usual(len(names)), np.zeros_like(nothing_usual(len(names)))
        for number, name in enumerate(names):
            if name in self._weeks:
                mean[number], variance[number] = self._weeks[name]
        return mean, variance

    def _home(self, tenant_id: str) -> str | None:
        return self._directory.home(tenant_id)

    def _forget(self) -> None:
        """Rows go with their assignments."""
        for name in [name for name in self._rows if self._home(name) is None]:
            del self._rows[name]
            self._weeks.pop(name, None)


def _followed(row: _Row, told: _Counters, passed: float, period: int, *, is_new: bool) -> Load:
    """The row with what was taken since; and its load."""
    weight = 1 - math.exp(-passed / SMOOTHED_SECONDS)
    if is_new and row.seconds < SMOOTHED_SECONDS:
        weight = max(weight, passed / (row.seconds + passed))
    taken = {
        each.name: max(0.0, getattr(told, each.name) - getattr(row.counters, each.name)) / passed
        for each in fields(_Counters)
    }
    rates = (taken["cpu_seconds"], taken["network_bytes"] * 8)
    wire, counted = taken["database_bytes"], told.database_bytes >= row.counters.database_bytes  # not with NaN
    if row.seconds == 0 or row.period > period + 1:
        row.period, row.seconds, row.sums, row.squares = period, 0.0, (0.0, 0.0), (0.0, 0.0)
    seconds = passed if passed <= LONGEST_SECONDS else 0.0
    row.seconds += seconds
    row.sums = row.sums[0] + seconds * rates[0], row.sums[1] + seconds * rates[1]
    row.squares = row.squares[0] + seconds * rates[0] ** 2, row.squares[1] + seconds * rates[1] ** 2

    def smoothed(known: float | None, rate: float) -> float:
        return max(LEAST, rate if known is None else known + weight * (rate - known))

    load = row.load
    return replace(
        load,
        cpus=smoothed(load.cpus, rates[0]),
        network_bits=smoothed(load.network_bits, rates[1]),
        request_rate=smoothed(load.request_rate, taken["requests"]),
        database_share=smoothed(load.database_share, taken["database_seconds"]),
        database_bits=smoothed(load.database_bits, wire * 8) if counted else load.database_bits,
        job_share=smoothed(load.job_share, taken["job_seconds"]),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
