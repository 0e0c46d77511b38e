"""Finishes what was recorded and not carried out, whoever died in between.

Level-triggered: each round looks at everything that is unsettled, so no event can be missed. A cell that does not
answer is left alone for a while with all its tenants, so that it neither blocks nor slows down the others.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from directory.errors import DirectoryError, Unavailable
from directory.truth import Directory
from directory.values import Tenant
from placement import metrics
from placement.carrying import Carrier
from placement.errors import PlacementError
from runtime import logs
from runtime.backoff import Backoff
from runtime.clock import Clock, SystemClock

log = logs.get("placement.reconciler")

PAGE = 200
CELLS_AT_ONCE = 20
"""Each has one decision in flight, so a cell that hangs takes one place, and only until it is left alone."""
ROUND_SECONDS = 0.5
"""Between two looks, a page each; looking at an empty index costs the control database next to nothing."""
WAITING = Backoff(initial_seconds=0.5, cap_seconds=15.0)


@dataclass(frozen=True, slots=True)
class _Pause:
    """Who failed is left alone until `until` (monotonic seconds)."""

    failures: int
    until: float


class Reconciler:
    """One round at a time; `runtime.tasks` calls `step` again and again."""

    def __init__(
        self, directory: Directory, carrier: Carrier, clock: Clock | None = None, backoff: Backoff = WAITING
    ) -> None:
        self._directory = directory
        self._carrier = carrier
        self._clock = clock or SystemClock()
        self._backoff = backoff
        self._pauses: dict[str, _Pause] = {}

    def __repr__(self) -> str:
        return f"<Reconciler {len(self._pauses)} waiting>"

    async def step(self) -> None:
        """One round, and the rest until the next. Unavailable when the directory is away."""
        count = await self.round()
        await self._clock.sleep(ROUND_SECONDS * (1 + count // PAGE))

    async def round(self) -> int:
        """Try everything that is unsettled once; returns how many decisions that were."""
        seen: set[str] = set()
        count, revision = 0, 0
        while page := await self._directory.unsettled(PAGE, revision):
            count, revision = count + len(page), page[-1].revision
            seen.update(name for tenant in page for name in _names(tenant))
            await self._try(page)
        metrics.UNSETTLED.set(count)
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in seen}
        return count

    async def _try(self, page: Sequence[Tenant]) -> None:
        of_cell: dict[str, list[Tenant]] = {}
        for tenant in page:
            of_cell.setdefault(_cell_name(tenant), []).append(tenant)
        slots = asyncio.Semaphore(CELLS_AT_ONCE)

        async def one_after_another(tenants: Sequence[Tenant]) -> None:
            async with slots:
                for tenant in tenants:
                    await self._carry(tenant)

        await asyncio.gather(*(one_after_another(tenants) for tenants in of_cell.values()))

    async def _carry(self, tenant: Tenant) -> None:
        if tenant.tenant_id in self._carrier.busy or any(self._paused(name) for name in _names(tenant)):
            return
        try:
            await self._carrier.carry_out(tenant)
        except Unavailable as error:
            self._pause(_cell_name(tenant), str(error))
        except (DirectoryError, PlacementError) as error:
            # This tenant's own trouble: the others of its cell go on.
            self._pause(_tenant_name(tenant), str(error))
        else:
            self._pauses.pop(_cell_name(tenant), None)

    def _paused(self, name: str) -> bool:
        pause = self._pauses.get(name)
        return pause is not None and pause.until > self._clock.monotonic()

    def _pause(self, name: str, why: str) -> None:
        failures = self._pauses[name].failures + 1 if name in self._pauses else 0
        wait_seconds = self._backoff.wait_seconds(failures, random.random())  # noqa: S311 jitter
        self._pauses[name] = _Pause(failures, self._clock.monotonic() + wait_seconds)
        log.warning("decision_waits", waits=name, wait_seconds=round(wait_seconds, 3), reason=why)


def _names(tenant: Tenant) -> tuple[str, str]:
    return _tenant_name(tenant), _cell_name(tenant)


def _tenant_name(tenant: Tenant) -> str:
    return f"tenant {tenant.tenant_id}"


def _cell_name(tenant: Tenant) -> str:
    return f"cell {tenant.assignment.cell_id if tenant.assignment else '?'}"
