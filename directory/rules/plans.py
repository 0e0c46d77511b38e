"""What a plan gives to a tenant. Pure; every part of the platform reads the same table.

A quota says how much a tenant may have, a rate how often it may ask: who is over a quota must give something back
or change the plan, who is over a rate only has to wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan. Rates are requests per second, and how many may come at once."""

    name: str
    rank: int
    """Changing to a higher one is an upgrade."""
    most_namespaces: int
    storage_bytes: int
    """For all namespaces together."""
    most_users: int
    """In each namespace."""
    per_second: int
    burst: int


STANDARD = Plan("standard", 1, 20, 10 * GIB, 100, 100, 200)
PREMIUM = Plan("premium", 2, 1000, 1024 * GIB, 10_000, 1000, 2000)
PLANS: Mapping[str, Plan] = {plan.name: plan for plan in (STANDARD, PREMIUM)}


TOP_PLANS = frozenset(plan.name for plan in PLANS.values() if plan.rank == max(p.rank for p in PLANS.values()))
"""Those of the highest rank."""


def check_plan(name: str) -> str:
    """The name itself; ValueError when no plan is called so."""
    if name not in PLANS:
        raise ValueError(f"plans are {', '.join(sorted(PLANS))}")
    return name


def plan_of(name: str) -> Plan:
    """The plan called so; STANDARD for a name that this version does not know."""
    return PLANS.get(name, STANDARD)
