"""Requests of a tenant that is between two cells wait here until its next cell has answered somebody.

A cell that says 421 did nothing, and knows that the tenant is not (or not yet) its own. From then on nothing more
is sent for this tenant, but for one request: the pilot, which finds out where the tenant lives now and tries. The
others wait until the pilot is answered by a cell that owns the tenant. A hold is only latency: what it lets
through or refuses is as safe as without it, because the fence in the cell's database decides.

Bounded in number, bytes and time, each for one tenant (Vitess holds 1,000 requests for 10 s in the same place).
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from router import metrics


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Of one tenant."""

    requests: int = 1000
    body_bytes: int = 8_388_608
    seconds: float = 10.0


class HoldFull(Exception):
    """Too many wait for this tenant already."""


class HoldOver(Exception):
    """It took too long."""


class Hold:
    """One tenant's."""

    __slots__ = ("began_at", "body_bytes", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[bool]] = deque()
        """Each is told whether it is the pilot now."""
        self.body_bytes = 0
        self.began_at = monotonic()


class Holds:
    """tenant → its hold. While there is one, it has exactly one pilot."""

    def __init__(self, limits: HoldLimits) -> None:
        self.limits = limits
        self.by_tenant: dict[bytes, Hold] = {}

    def __repr__(self) -> str:
        return f"<Holds {', '.join(f'{name.decode()}: {n}' for name, n in self.counts())}>"

    def counts(self) -> list[tuple[bytes, int]]:
        """(tenant, requests that wait)."""
        return [(name, len(hold.waiting)) for name, hold in self.by_tenant.items()]

    def begin(self, tenant: bytes) -> bool:
        """Hold from now on. Whether the caller is the pilot: if not, somebody else is, and one should `wait`."""
        if tenant in self.by_tenant:
            return False
        self.by_tenant[tenant] = Hold()
        return True

    async def wait(self, tenant: bytes, body_bytes: int, until: float) -> bool:
        """Wait for the end of a hold, or for becoming its pilot, which is then True. `until` by the loop's clock.

        HoldFull, HoldOver.
        """
        hold = self.by_tenant.get(tenant)
        if hold is None:
            return False
        if len(hold.waiting) >= self.limits.requests or hold.body_bytes + body_bytes > self.limits.body_bytes:
            metrics.HOLDS.labels("full").inc()
            raise HoldFull
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._listed(hold, turn, body_bytes):
            try:
                async with asyncio.timeout_at(until):
                    pilot = await turn
            except TimeoutError:
                if turn.cancelled():
                    metrics.HOLDS.labels("over").inc()
                    raise HoldOver from None
                pilot = turn.result()
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.result():
                    self.pass_on(tenant)  # it had just become the pilot
                raise
        metrics.HOLDS.labels("released").inc()
        return pilot

    @contextmanager
    def _listed(self, hold: Hold, turn: "asyncio.Future[bool]", body_bytes: int) -> Iterator[None]:
        hold.waiting.append(turn)
        hold.body_bytes += body_bytes
        metrics.HELD.inc()
        try:
            yield
        finally:
            metrics.HELD.dec()
            hold.body_bytes -= body_bytes
            if turn in hold.waiting:
                hold.waiting.remove(turn)

    def end(self, tenant: bytes) -> None:
        """A cell that owns the tenant has answered: all go on."""
        hold = self.by_tenant.pop(tenant, None)
        if hold is not None:
            for turn in hold.waiting:
                if not turn.done():
                    turn.set_result(False)

    def pass_on(self, tenant: bytes) -> None:
        """The pilot gave up: the next one tries, and without one the hold ends."""
        hold = self.by_tenant.get(tenant)
        if hold is None:
            return
        while hold.waiting:
            turn = hold.waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        del self.by_tenant[tenant]
