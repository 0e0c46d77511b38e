"""Loads in the control database. Weeks are kept as bytes, so that a million of them are read without parsing."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import asyncpg
import numpy as np

from directory.errors import Unavailable
from directory.loads import (
    IDLE_BITS,
    IDLE_CPUS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MEASURED,
    MOST_AT_ONCE,
    SMOOTHED_SECONDS,
    CellLoad,
    Ended,
    Floats,
    Load,
    Page,
    Reading,
    Weeks,
    nothing_usual,
)
from directory.rules.periods import PERIODS_A_WEEK, period_of
from directory.transactions import SQL, Transactions, fields_of, repeated
from runtime.database import Pool

ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")
MOST_TRIES = 4
_KEPT = np.dtype("<f4")
_RECENT = ("cpus", "memory_bytes", "storage_bytes", "network_bits")


def _without_the_deleted(
    call: Callable[ArgumentsT, Coroutine[Any, Any, ResultT]],
) -> Callable[ArgumentsT, Coroutine[Any, Any, ResultT]]:
    """The whole call again when a tenant was deleted while it ran: the next time it is not among them."""

    @wraps(call)
    async def calling(*args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> ResultT:
        for _ in range(MOST_TRIES):
            try:
                return await call(*args, **kwargs)
            except asyncpg.ForeignKeyViolationError:
                continue
        raise Unavailable("tenants are being deleted faster than their load can be written")

    return calling


class PostgresLoads:
    """`Loads` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    @_without_the_deleted
    @repeated
    async def measure(self, reading: Reading, at: datetime) -> int:
        async with self._transactions.begun() as connection:
            tag = await connection.execute(
                SQL["measure_loads"],
                *(reading.cell_id, reading.start, reading.age_seconds, period_of(at), at),
                *(list(reading.tenants), reading.cpu_seconds, reading.network_bytes, reading.requests),
                *(reading.database_seconds, reading.job_seconds),
                *(_nullable(reading.memory_bytes), _nullable(reading.storage_bytes)),
                *(
                    LONGEST_SECONDS,
                    SMOOTHED_SECONDS,
                    IDLE_CPUS,
                    IDLE_BITS,
                    IDLE_SECONDS,
                    _nullable(reading.row_bytes),
                    _nullable(reading.database_bytes),
                ),
            )
        return _count(tag)

    async def ended(self, before: int, most: int = MOST_AT_ONCE) -> Ended:
        rows = await self._transactions.rows("list_ended_loads", before, most)
        value, within = np.full((2, len(rows), len(MEASURED)), np.nan)
        seconds = np.array([row["period_seconds"] for row in rows])
        for column, name in ((0, "cpus"), (3, "network")):
            sums, squares = (np.array([row[f"{name}_{what}"] for row in rows]) for what in ("sum", "squares"))
            value[:, column] = sums / seconds
            within[:, column] = np.maximum(0.0, squares / seconds - value[:, column] ** 2)
        for column, name in ((1, "memory_bytes"), (2, "storage_bytes")):
            value[:, column] = _array([row[name] for row in rows])
            within[:, column] = 0.0
        return Ended(
            [row["tenant_id"] for row in rows],
            [row["period"] for row in rows],
            [row["period_seconds"] for row in rows],
            *(value, within, _weeks(rows, "mean"), _weeks(rows, "variance", empty=0.0)),
        )

    @_without_the_deleted
    @repeated
    async def close(self, ended: Ended, mean: Weeks, variance: Weeks, now: int) -> int:
        async with self._transactions.begun() as connection:
            tag = await connection.execute(
                SQL["close_loads"],
                *(now, list(ended.tenants), list(ended.periods), list(ended.seconds)),
                *(_kept(mean), _kept(variance)),
            )
        return _count(tag)

    async def page(self, after: str = "", limit: int = MOST_AT_ONCE) -> Page:
        rows = await self._transactions.rows("list_loads", after, limit)
        recent = np.full((len(rows), len(MEASURED)), np.nan)
        for column, name in enumerate(_RECENT):
            recent[:, column] = _array([row[name] for row in rows])
        return Page(
            [row["tenant_id"] for row in rows],
            *(recent, _array([row["row_bytes"] for row in rows])),
            np.array([row["period_seconds"] for row in rows], dtype=float),
            *(_weeks(rows, "mean"), _weeks(rows, "variance", empty=0.0)),
            max((row["measured_at"] for row in rows), default=None),
        )

    async def load(self, tenant_id: str) -> Load | None:
        row = await self._transactions.row("get_load", tenant_id)
        if row is None:
            return None
        known = row["mean"] is not None
        weeks = {"usual": _week(row["mean"]), "variance": _week(row["variance"])} if known else {}
        return Load(**{**fields_of(Load, row), **weeks})

    async def cell(self, cell_id: str) -> CellLoad:
        row = await self._transactions.row("sum_loads", cell_id)
        if row is None:
            raise Unavailable("a sum has no row")
        return CellLoad(**fields_of(CellLoad, row))


def _nullable(values: Sequence[float]) -> list[float | None]:
    return [None if value != value else value for value in values]


def _array(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _week(kept: bytes) -> Weeks:
    return np.frombuffer(kept, dtype=_KEPT).reshape(PERIODS_A_WEEK, len(MEASURED)).astype(np.float32)


def _weeks(rows: Sequence[asyncpg.Record], name: str, empty: float = np.nan) -> Weeks:
    found = nothing_usual(len(rows))
    found.fill(empty)
    known = [number for number, row in enumerate(rows) if row[name] is not None]
    if known:
        joined = np.frombuffer(b"".join(rows[number][name] for number in known), dtype=_KEPT)
        found[known] = joined.reshape(len(known), PERIODS_A_WEEK, len(MEASURED))
    return found


def _kept(weeks: Weeks) -> list[bytes]:
    return [week.tobytes() for week in np.ascontiguousarray(weeks, dtype=_KEPT)]


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
