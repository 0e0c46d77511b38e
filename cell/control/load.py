"""How much of this cell its tenants take: counters of what they did, and what they hold as far as that is known.

What a tenant holds is what the planner believes of its rows, and what it said that its namespaces hold. No table
is read for it; even so it takes some milliseconds a tenant, so in each call some are asked about, by turns.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cell.access import enter_at
from cell.control.contents import LISTED
from cell.database import SQL, transaction
from cell.errors import NotHere, Unavailable
from cell.work.loads import LoadSums
from directory.control.contract import LoadReport, TenantLoad
from directory.fence.catalog import QUERIES
from directory.fence.sizes import read_sizes
from runtime.database import Pool

AT_ONCE = 10
"""Tenants that are asked about in one call, at most."""
AT_ONCE_SECONDS = 0.5
KNOWN_SECONDS = 3600.0
"""How long what a tenant holds is not asked again."""
MOST_KNOWN = 50_000


@dataclass(frozen=True, slots=True)
class _Held:
    row_bytes: int
    said_bytes: int
    at: float


class Load:
    """What the control contract tells about load."""

    def __init__(self, pool: Pool, sums: LoadSums) -> None:
        self._pool, self._sums = pool, sums
        self._held: dict[str, _Held] = {}

    def __repr__(self) -> str:
        return f"<Load, {len(self._held)} sizes known>"

    async def report(self, after: str, limit: int) -> LoadReport:
        """Of a page of the tenants that live here. Unavailable."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["list_fences"], after, limit)
        here = {row["tenant_id"]: row["epoch"] for row in rows if row["state"] == "active"}
        for gone in [row["tenant_id"] for row in rows if row["state"] != "active"]:
            self._held.pop(gone, None)
        await self._look(here)
        sums = await self._sums.read(list(here))
        return LoadReport(
            start=sums.start,
            age_seconds=sums.age_seconds,
            cpu_seconds=sums.total_cpu_us / 1e6,
            memory_bytes=sums.memory_bytes,
            tenants=[self._load(name, numbers) for name, numbers in sums.tenants.items()],
            next_after=rows[-1]["tenant_id"] if len(rows) == limit else None,
        )

    def _load(self, tenant_id: str, numbers: Sequence[int]) -> TenantLoad:
        cpu_us, network_bytes, requests, database_us, job_us, database_bytes = numbers
        held = self._held.get(tenant_id)
        return TenantLoad(
            tenant_id=tenant_id,
            cpu_seconds=cpu_us / 1e6,
            network_bytes=network_bytes,
            requests=requests,
            database_seconds=database_us / 1e6,
            # No transaction goes without bytes, so they are not known where it is only said that there was one.
            database_bytes=None if database_us and not database_bytes else database_bytes,
            job_seconds=job_us / 1e6,
            row_bytes=None if held is None else held.row_bytes,
            storage_bytes=None if held is None else held.row_bytes + held.said_bytes,
        )

    async def _look(self, here: dict[str, int]) -> None:
        now = time.monotonic()
        for tenant_id in self._due(here, now)[:AT_ONCE]:
            with suppress(NotHere, Unavailable):  # it is moving, or next time
                held = await self._look_at(tenant_id, here[tenant_id])
                if tenant_id in self._held or len(self._held) < MOST_KNOWN:
                    self._held[tenant_id] = held
            if time.monotonic() - now > AT_ONCE_SECONDS:
                break

    def _due(self, here: Iterable[str], now: float) -> list[str]:
        """Whose size is not known or old, longest first."""
        at = {name: held.at if (held := self._held.get(name)) else float("-inf") for name in here}
        return sorted((name for name, seen in at.items() if now - seen > KNOWN_SECONDS), key=at.__getitem__)

    async def _look_at(self, tenant_id: str, epoch: int) -> _Held:
        async with transaction(self._pool) as connection:
            await connection.execute(QUERIES["pin_types"])
            await enter_at(connection, tenant_id, epoch)
            sizes = await read_sizes(connection, LISTED, most_counted=0, seconds=0.0)
            said = await connection.fetchval(SQL["storage_said"])
            return _Held(sum(size.bytes for size in sizes), said, time.monotonic())
