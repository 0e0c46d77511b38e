"""What is wrong between a cell's fences and the directory's assignments. Pure.

Nothing stands still meanwhile, so the directory is read before and after the fences. What was the same in both
readings was so when the fences were read; whatever changed in between is left to the next comparison.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from directory.control.contract import FenceReport
from directory.values import Tenant

CELL_BEHIND = (
    "if the cell's database was restored, stop its programs and run `cellway restored cell`; otherwise suspend "
    "and resume these tenants: their cell is told anew"
)
CELL_AHEAD = (
    "do not lift the fence by hand: if the control database was restored, `cellway restored control` brings it to "
    "what the cells know; if the cell's database was restored, it has no whole copy of these tenants, see "
    "`cellway restored cell --help`"
)
TWO_HOMES = (
    "the tenant could be written in two places: if the cell's database was restored, stop its programs and run "
    "`cellway restored cell`; if the control database was, stop placement and movers and run `cellway restored "
    "control`; otherwise close its fence in the cell where it does not live, before anything else"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to do about it."""

    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Home:
    """What the directory says about a tenant in this cell. `settled`: the cell has carried it out."""

    epoch: int
    settled: bool


def homes(tenants: Sequence[Tenant]) -> dict[str, Home]:
    """By tenant; `tenants` are those assigned to one cell."""
    return {t.tenant_id: Home(t.assignment.epoch, t.settled) for t in tenants if t.assignment is not None}


def faults(before: Mapping[str, Home], fences: Sequence[FenceReport], after: Mapping[str, Home]) -> list[Fault]:
    """What is wrong in one cell and one range of tenants.

    A tenant that writes in two cells shows as an active fence in the cell to which it is not assigned. While a
    decision is on its way only that is looked for which the decision cannot bring about.
    """
    known = {fence.tenant_id: fence for fence in fences}
    steady = [name for name, home in before.items() if after.get(name) == home]
    found = [fault for name in steady if (fault := _fault(name, before[name], known.get(name))) is not None]
    strangers = [
        Fault(f"{fence.tenant_id} may write here at epoch {fence.epoch}, and is not assigned here", TWO_HOMES)
        for fence in fences
        if fence.state == "active" and fence.tenant_id not in before and fence.tenant_id not in after
    ]
    return found + strangers


def _fault(tenant_id: str, home: Home, fence: FenceReport | None) -> Fault | None:
    if fence is not None and (fence.epoch > home.epoch or (fence.epoch == home.epoch and fence.state != "active")):
        said = f"{tenant_id} is assigned at epoch {home.epoch}, and its fence is {fence.state} at {fence.epoch}"
        return Fault(said, CELL_AHEAD)
    if not home.settled:
        return None
    if fence is None:
        return Fault(f"{tenant_id} is assigned here at epoch {home.epoch}, and has no fence", CELL_BEHIND)
    if fence.epoch < home.epoch:
        said = f"{tenant_id} is assigned at epoch {home.epoch}, and its fence is {fence.state} at {fence.epoch}"
        return Fault(said, CELL_BEHIND)
    return None
