"""What is wrong between a cell's fences and the directory's assignments. Pure.

Nothing stands still meanwhile, so the directory is read before and after the fences. What was the same in both
readings was so when the fences were read; whatever changed in between is left to the next comparison.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from directory.control.contract import FenceReport
from directory.values import Tenant


@dataclass(frozen=True, slots=True)
class Home:
    """What the directory says about a tenant in this cell. `settled`: the cell has carried it out."""

    epoch: int
    settled: bool


def homes(tenants: Sequence[Tenant]) -> dict[str, Home]:
    """By tenant; `tenants` are those assigned to one cell."""
    return {t.tenant_id: Home(t.assignment.epoch, t.settled) for t in tenants if t.assignment is not None}


def faults(before: Mapping[str, Home], fences: Sequence[FenceReport], after: Mapping[str, Home]) -> list[str]:
    """One sentence a fault, for one cell and one range of tenants.

    A tenant that writes in two cells shows as an active fence in the cell to which it is not assigned.
    """
    known = {fence.tenant_id: fence for fence in fences}
    steady = [name for name, home in before.items() if home.settled and after.get(name) == home]
    missing = [fault for name in steady if (fault := _closed(name, before[name], known.get(name))) is not None]
    strangers = [
        f"{fence.tenant_id} may write here at epoch {fence.epoch}, and is not assigned here"
        for fence in fences
        if fence.state == "active" and fence.tenant_id not in before and fence.tenant_id not in after
    ]
    return missing + strangers


def _closed(tenant_id: str, home: Home, fence: FenceReport | None) -> str | None:
    if fence is None:
        return f"{tenant_id} is assigned here at epoch {home.epoch}, and has no fence"
    if fence.state != "active" or fence.epoch != home.epoch:
        return f"{tenant_id} is assigned at epoch {home.epoch}, and its fence is {fence.state} at {fence.epoch}"
    return None
