"""Finishes what was recorded and not carried out, whoever died in between.

Level-triggered: each round looks at everything that is unsettled, so no event can be missed. A cell that gives no
answer is left alone for a while with all its tenants; when one order fails, only its tenant is. In a round each
cell gets a turn of a bounded time, and who was tried longest ago comes first: nobody waits for ever behind others.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from directory.errors import DirectoryError, Silent, Unfinished
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
TURN_MOST = 500
TURN_SECONDS = 3.0
"""A cell's turn in one round: after this time no further decision is begun, for the others wait for its end."""
CELLS_AT_ONCE = 20
"""Each has one decision in flight, so a cell that hangs takes one place, and only until it is left alone."""
ROUND_SECONDS = 0.5
"""Between two looks, and as much more for each page that was read in vain; looking at an empty index costs the
control database next to nothing."""
NEVER = float("-inf")
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
        self._tried: dict[str, float] = {}
        self._cut_short = False

    def __repr__(self) -> str:
        return f"<Reconciler {len(self._pauses)} waiting>"

    async def step(self) -> None:
        """One round, and the rest until the next. Unavailable when the directory is away."""
        count = await self.round()
        pages = 0 if self._cut_short else count // PAGE
        await self._clock.sleep(ROUND_SECONDS * (1 + pages))

    async def round(self) -> int:
        """Give each cell its turn with what is unsettled; returns how many decisions that were."""
        seen: set[str] = set()
        turns: dict[str, Sequence[Tenant]] = {}
        count, revision, self._cut_short = 0, 0, False
        while page := await self._directory.unsettled(PAGE, revision):
            count, revision = count + len(page), page[-1].revision
            seen.update(name for tenant in page for name in _names(tenant))
            self._share_out(page, turns)
        metrics.UNSETTLED.set(count)
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in seen}
        self._tried = {name: at for name, at in self._tried.items() if name in seen}
        await self._take_turns(turns)
        return count

    def _share_out(self, page: Sequence[Tenant], turns: dict[str, Sequence[Tenant]]) -> None:
        """Add those that may be tried, and keep for each cell the ones whose time has come first."""
        of_cell: dict[str, list[Tenant]] = {}
        for tenant in page:
            if not any(self._paused(name) for name in _names(tenant)):
                of_cell.setdefault(_cell_name(tenant), []).append(tenant)
        for name, tenants in of_cell.items():
            waiting = sorted([*turns.get(name, ()), *tenants], key=self._rank)
            turns[name] = waiting[:TURN_MOST]
            self._cut_short |= len(waiting) > TURN_MOST

    def _rank(self, tenant: Tenant) -> tuple[float, int]:
        return self._tried.get(_tenant_name(tenant), NEVER), tenant.revision

    async def _take_turns(self, turns: Mapping[str, Sequence[Tenant]]) -> None:
        slots = asyncio.Semaphore(CELLS_AT_ONCE)

        async def turn(name: str, tenants: Sequence[Tenant]) -> None:
            async with slots:
                end = self._clock.monotonic() + TURN_SECONDS
                for tenant in tenants:
                    if self._paused(name):
                        return
                    if self._clock.monotonic() > end:
                        self._cut_short = True
                        return
                    await self._carry(tenant)

        await asyncio.gather(*(turn(name, tenants) for name, tenants in turns.items()))

    async def _carry(self, tenant: Tenant) -> None:
        """Try one decision. Whatever goes wrong is noted and ends here, so that a round is never abandoned."""
        if tenant.tenant_id in self._carrier.busy:
            return
        self._tried[_tenant_name(tenant)] = self._clock.monotonic()
        try:
            await self._carrier.carry_out(tenant)
        except Unfinished as more:
            log.info("decision_goes_on", tenant=tenant.tenant_id, reason=str(more))
        except Silent as error:
            self._pause(_cell_name(tenant), str(error))
            return
        except (DirectoryError, PlacementError) as error:
            # This tenant's own trouble: the others of its cell go on.
            self._pause(_tenant_name(tenant), str(error))
            return
        except Exception as error:
            log.exception("decision_broke", tenant=tenant.tenant_id)
            self._pause(_tenant_name(tenant), repr(error))
            return
        for name in _names(tenant):
            self._pauses.pop(name, None)

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
