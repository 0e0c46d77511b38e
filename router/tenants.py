"""The tenants that are being served: where each lives, as bytes that are ready to be sent, and what it may ask.

Found out once and kept until the table changes. Bounded, because tenants are many and only some are busy; whoever
is dropped is found out again, with its bucket full. So who is busy is not dropped, as far as can be seen quickly.
"""

from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Final

from directory.values import Rate
from router.errors import Unreached
from router.rules.headers import stamp
from router.rules.rates import Bucket, policy_header
from router.table import Table
from router.upstream.cells import Cells
from router.upstream.pool import Pool

MOST_ACTIVE: Final = 32_768
MOST_CANDIDATES: Final = 8
"""Tenants that are looked at for one who can be dropped, so that making room never takes long."""


class Tenant:
    """One that is being served."""

    __slots__ = (
        "borrowed", "bucket", "cell_id", "epoch", "lasting", "moved_at", "name", "policy", "pool", "requests",
        "stamp", "version",
    )  # fmt: skip

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.version = -1
        """Of the table that the rest was found out from."""
        self.cell_id = ""
        self.epoch = 0
        self.stamp = b""
        self.pool: Pool | None = None
        """None while its cell has no address."""
        self.bucket: Bucket | None = None
        """None: it may ask as much as it likes."""
        self.policy = b""
        """What is said of its limit in every response."""
        self.borrowed = 0
        """Connections to cells that it has or is opening."""
        self.lasting = 0
        """Of them, those over which no usual answer is awaited: streams, long polls, bodies on their way."""
        self.moved_at = -inf
        """When it was seen to live elsewhere than before, by the monotonic clock."""
        self.requests = 0
        """Since they were last counted."""

    def __repr__(self) -> str:
        return f"<Tenant {self.name.decode()} in {self.cell_id} at {self.epoch}>"

    def freed(self, pool: object) -> None:
        """It needs less of `pool`: if it waits in another, it may have its turn there."""
        if self.pool is not None and self.pool is not pool:
            self.pool.next_turn()

    @property
    def busy(self) -> bool:
        """Whether it asked for something since the last count, or is being answered."""
        return self.borrowed > 0 or self.requests > 0

    def limit(self, rate: Rate | None, share: float, now: float) -> None:
        """What it may ask from now on; `share` is this process's part of it."""
        if rate is None:
            self.bucket, self.policy = None, b""
            return
        per_second, burst = rate.per_second * share, max(1, round(rate.burst * share))
        if self.bucket is None:
            self.bucket = Bucket(per_second, burst)
        elif (self.bucket.per_second, self.bucket.burst) != (per_second, burst):
            self.bucket.change(per_second, burst, now)
        self.policy = b"RateLimit-Policy: %b\r\n" % policy_header(per_second, burst)


class Tenants:
    """name → `Tenant`, as the table has it now."""

    def __init__(self, table: Table, cells: Cells, *, rate_share: float = 1.0, most: int = MOST_ACTIVE) -> None:
        self._table, self._cells, self._rate_share, self._most = table, cells, rate_share, most
        self.active: dict[bytes, Tenant] = {}
        """For the hot path, which compares versions itself. Those at the end came or were seen to be busy last."""
        self.uncounted = 0
        """Requests of tenants that were dropped before they were counted; whoever takes them sets it to 0."""

    def __len__(self) -> int:
        return len(self.active)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self.active.values()))

    def find(self, name: bytes, now: float) -> Tenant | None:
        """The tenant, None when the table does not have it."""
        tenant = self.active.get(name)
        if tenant is not None and tenant.version == self._table.version:
            return tenant
        return self._found_out(name, tenant, now)

    def _found_out(self, name: bytes, tenant: Tenant | None, now: float) -> Tenant | None:
        version = self._table.version
        entry = self._table.find(name.decode())
        if entry is None:
            self._drop(name)
            return None
        if tenant is None:
            if len(self.active) >= self._most:
                self._drop(self._dispensable())
            tenant = self.active[name] = Tenant(name)
        tenant.version = version
        if (entry.cell_id, entry.epoch) != (tenant.cell_id, tenant.epoch):
            if tenant.epoch:
                tenant.moved_at = now
            tenant.cell_id, tenant.epoch = entry.cell_id or "", entry.epoch
            tenant.stamp = stamp(name, entry.epoch)
        tenant.limit(entry.rate, self._rate_share, now)
        try:
            tenant.pool = self._cells.pool(tenant.cell_id)
        except Unreached:
            tenant.pool = None
        return tenant

    def _dispensable(self) -> bytes:
        """The first who is not busy, and those before it go to the end; the first candidate when all are busy."""
        candidates = list(islice(self.active, MOST_CANDIDATES))
        for name in candidates:
            if not self.active[name].busy:
                return name
            self.active[name] = self.active.pop(name)
        return candidates[0]

    def _drop(self, name: bytes) -> None:
        tenant = self.active.pop(name, None)
        if tenant is not None:
            self.uncounted += tenant.requests
            tenant.requests = 0  # whoever counts at this moment may still have it in hand
