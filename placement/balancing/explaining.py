"""A plan in words and numbers: why each tenant moves, and what the fleet is like before and after."""

from dataclasses import dataclass

import numpy as np

from placement.balancing.planning import Plan
from placement.balancing.resources import Floats
from placement.balancing.sites import Rule


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One move, as operators see it."""

    tenant_id: str
    source: str
    destination: str
    bytes: float
    reason: str


@dataclass(frozen=True, slots=True)
class Balance:
    """One resource: the fullest cell's ratio to what it would hold if its pool were level. 0: not levelled."""

    resource: str
    before: float
    after: float
    use: float
    """Share of all cells' capacity that is in use."""


def move(plan: Plan, number: int) -> PlannedMove:
    """The move at this place of the plan."""
    tenant = int(plan.tenants[number])
    names = plan.fleet.sites.names
    return PlannedMove(
        tenant_id=str(plan.fleet.tenants[tenant]),
        source=names[plan.sources[number]],
        destination=names[plan.destinations[number]],
        bytes=float(plan.fleet.bytes[tenant]),
        reason=reason(plan, number),
    )


def reason(plan: Plan, number: int) -> str:
    """Why this one moves: the first goal that it serves."""
    fleet, tenant = plan.fleet, int(plan.tenants[number])
    source, destination = int(plan.sources[number]), int(plan.destinations[number])
    names, needs = fleet.sites.names, fleet.kinds[fleet.kind[tenant]]
    if not fleet.stays[fleet.kind[tenant], source]:
        rule = Rule(int(fleet.sites.broken(needs, arriving=False)[source]))
        return fleet.sites.why(rule, needs, source)
    over, at = _worst(plan.before, fleet.limits, source)
    if over > 1.0:
        return f"{names[source]} is {over - 1:.0%} over its limit of {fleet.columns.names[at]}"
    hot, at = _worst(plan.before, plan.ideal, source)
    takes = fleet.demand[tenant, at] / plan.before[source, at] if plan.before[source, at] else 0.0
    cool = plan.before[destination, at] / plan.ideal[destination, at]
    if hot > max(1.0, cool):
        resource = fleet.columns.names[at]
        here = f"{names[source]} has {hot:.2f} × the mean of {resource}, {takes:.1%} of it this tenant's"
        return f"{here}; {names[destination]} has {cool:.2f} ×"
    return f"makes room in {names[source]} for tenants of fuller cells"


def homeless(plan: Plan) -> list[str]:
    """Who should leave its cell and cannot, and what is in the way."""
    fleet, told = plan.fleet, []
    for tenant in plan.homeless.tolist():
        needs, home = fleet.kinds[fleet.kind[tenant]], int(fleet.home[tenant])
        why = fleet.sites.why(Rule(int(fleet.sites.broken(needs, arriving=False)[home])), needs, home)
        fitting = int(fleet.enters[fleet.kind[tenant]].sum())
        obstacle = f"{fitting} cells would do and have no room" if fitting else "no cell may take it"
        told.append(f"{fleet.tenants[tenant]} should move ({why}), but {obstacle}")
    return told


def balances(plan: Plan) -> list[Balance]:
    """Each resource that is levelled, before and after."""
    found = []
    for at, name in enumerate(plan.fleet.columns.names):
        if plan.fleet.columns.levelled[at]:
            capacity = float(plan.fleet.capacity[:, at].sum())
            use = float(plan.after[:, at].sum()) / capacity if capacity else 0.0
            before, after = (
                float((load[:, at] / plan.ideal[:, at]).max(initial=0.0)) for load in (plan.before, plan.after)
            )
            found.append(Balance(name, before, after, use))
    return found


def _worst(load: Floats, measure: Floats, cell: int) -> tuple[float, int]:
    ratio = np.divide(load[cell], measure[cell], out=np.zeros(load.shape[1]), where=measure[cell] > 0)
    at = int(ratio.argmax())
    return float(ratio[at]), at
