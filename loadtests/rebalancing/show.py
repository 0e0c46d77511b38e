"""What happens, in order, and what is to be seen of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.migration.load import running
from loadtests.rebalancing.fleet import Fleet, Tenant, uneven
from loadtests.router.errors import CannotMeasure

MEASURED_SECONDS = 120.0
"""Until placement has heard from all cells what their tenants take."""
PLAN_SECONDS = 300.0
LOOK_SECONDS = 0.3
GOALS = {"reverse_seconds": 0, "moves_at_once": 4, "moves_of_a_cell": 2, "seconds": 5}
BAR = 40


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it. The ratios are of the busiest cell's writes to the mean."""

    plan: Mapping[str, Any]
    requests: int
    failed: Mapping[int | str, int]
    worst_before: float
    worst_after: float
    longest_wait_seconds: float
    """Of a client, while tenants moved."""
    seconds: float
    """From the approval to the end."""


async def show(folder: Path, tell: Callable[[str], None]) -> Shown:
    """Uneven, planned, approved, moved, level; `tell` hears of each. CannotMeasure."""
    tell("Three cells are started, and tenants are created in them: most in the first.")
    async with uneven(folder) as fleet, running(*(tenant.load for tenant in fleet.tenants)):
        before = await fleet.homes()
        tell(picture(before))
        tell("Everybody works. Placement asks the cells what their tenants take …")
        await _measured(fleet)
        plan = await fleet.call("POST", "/v1/plans", {"kind": "balance", "goals": GOALS})
        tell(promised(plan, (await fleet.call("GET", f"/v1/plans/{plan['plan_id']}/moves"))["moves"]))
        began, since = time.monotonic(), time.time()
        await fleet.call("POST", f"/v1/plans/{plan['plan_id']}:approve")
        tell(f"approved: {plan['plan_id']}")
        plan = await _followed(fleet, plan["plan_id"], tell)
        seconds, after = time.monotonic() - began, await fleet.homes()
        tell(picture(after))
    writes = [written for tenant in fleet.tenants for written in tenant.load.written if written.due >= since]
    return Shown(
        plan=plan,
        requests=fleet.answered(),
        failed=fleet.failed(),
        worst_before=worst([_writes(tenants) for tenants in before.values()]),
        worst_after=worst([_writes(tenants) for tenants in after.values()]),
        longest_wait_seconds=round(max((written.seconds for written in writes), default=0.0), 3),
        seconds=round(seconds, 1),
    )


def picture(homes: Mapping[str, Sequence[Tenant]]) -> str:
    """A bar for each cell, as long as its part of all writes."""
    total = sum(_writes(tenants) for tenants in homes.values())
    lines = []
    for cell_id, tenants in homes.items():
        share = _writes(tenants) / total if total else 0.0
        lines.append(
            f"  {cell_id}  {'█' * round(BAR * share):<{BAR}}  {share:4.0%} of writes, {len(tenants)} tenants"
        )
    return "\n".join(lines)


def promised(plan: Mapping[str, Any], moves: Sequence[Mapping[str, Any]]) -> str:
    """The plan in a few lines."""
    summary = plan["summary"]
    lines = [f"plan {plan['plan_id']}: {summary['moves']} moves in {summary['waves']} waves"]
    for balance in summary["balances"]:
        lines.append(f"  {balance['resource']:<16} {balance['before']:5.2f} → {balance['after']:4.2f} × the mean")
    for move in moves[:3]:
        lines.append(f"  {move['tenant_id']} {move['source']} → {move['destination']}: {move['reason']}")
    return "\n".join([*lines, *(["  …"] if len(moves) > 3 else [])])


def worst(weights: Sequence[float]) -> float:
    """The heaviest cell's ratio to the mean."""
    return round(max(weights) * len(weights) / sum(weights), 3) if sum(weights) else 1.0


def _writes(tenants: Sequence[Tenant]) -> float:
    return sum(tenant.load.per_second for tenant in tenants)


async def _measured(fleet: Fleet) -> None:
    """Until placement knows of a tenant of each cell what it takes."""
    known = [tenants[0].tenant_id for tenants in (await fleet.homes()).values()]
    async with asyncio.timeout(MEASURED_SECONDS):
        for tenant_id in known:
            path = f"/v1/tenants/{tenant_id}/load"
            while (await fleet.call("GET", path))["cpus"] is None:  # noqa: ASYNC110 placement knows
                await asyncio.sleep(LOOK_SECONDS)


async def _followed(fleet: Fleet, plan_id: str, tell: Callable[[str], None]) -> Mapping[str, Any]:
    told = ""
    async with asyncio.timeout(PLAN_SECONDS):
        while True:
            plan: dict[str, Any] = await fleet.call("GET", f"/v1/plans/{plan_id}")
            line = f"{plan['state']}, wave {plan['wave']}: {plan['moved']} moved, {plan['failed']} failed"
            if line != told:
                tell(f"  {line}; {fleet.answered():,} writes answered, {fleet.failed().total()} failed")
            told = line
            if plan["end_time"] is not None:
                if plan["state"] != "DONE":
                    raise CannotMeasure(f"the plan ended {plan['state']}: {plan['error']}")
                return plan
            await asyncio.sleep(LOOK_SECONDS)
