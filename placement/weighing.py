"""What the tenants of each cell are expected to take together: of a million in a thread, and some at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from directory.reservations import Homes, Passage, Reservations
from placement.balancing.demand import TIMES
from placement.balancing.resources import Floats, Integers, columns
from placement.demands import Demands, Loads, expected
from placement.rules.picturing import Counted, at_its_height, count


async def weigh(reservations: Reservations, demands: Demands, now: datetime) -> Counted:
    """Everybody, as of one moment. While nothing was ever measured, tenants are not looked at one by one.

    Unavailable.
    """
    loads, scales = await demands.read(), Scales()
    tally = await reservations.tally(scales.put if len(loads.tenants) else None)
    if not len(loads.tenants):
        return count(tally, None, {})
    return count(
        tally,
        await asyncio.to_thread(scales.weights, loads, now),
        await asyncio.to_thread(moving, tally.passages, loads, now),
    )


class Scales:
    """Tenants by cell, as small as they can be kept."""

    def __init__(self) -> None:
        self._cells: dict[str, int] = {}
        self._plans: dict[str, str] = {}
        self._put: list[tuple[Sequence[str], Integers, Sequence[str]]] = []

    def put(self, homes: Homes) -> None:
        """Some more."""
        cells, plans = self._cells, self._plans
        where = np.array([cells.setdefault(name, len(cells)) for name in homes.cells], dtype=np.int64)
        self._put.append((homes.tenants, where, [plans.setdefault(plan, plan) for plan in homes.plans]))

    def weights(self, loads: Loads, now: datetime) -> Mapping[str, Floats]:
        """By cell, of what is measured: as much as all take together at their busiest time."""
        wide = len(columns(TIMES))
        sums = np.zeros((len(self._cells), wide))
        for tenants, where, plans in self._put:
            takes = expected(loads, tenants, plans, now)
            sums += np.stack([np.bincount(where, takes[:, each], len(sums)) for each in range(wide)], axis=1)
        return dict(zip(self._cells, at_its_height(sums), strict=True))


def moving(passages: Sequence[Passage], loads: Loads, now: datetime) -> Mapping[str, Floats]:
    """By tenant, of what is measured: what each that moves takes at its busiest time."""
    tenants = [passage.tenant_id for passage in passages]
    takes = expected(loads, tenants, [passage.plan for passage in passages], now)
    return dict(zip(tenants, at_its_height(takes), strict=True))
