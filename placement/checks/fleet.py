"""Decisions are carried out, and there is room for tenants."""

from datetime import timedelta

from directory.control.contract import Check
from directory.truth import Directory
from placement.balancing.choosing import Nowhere
from placement.choosing import Chooser
from placement.rules.picturing import Wanted
from runtime.clock import Clock

LATE = timedelta(seconds=30)
SHOWN = 5


async def decisions(directory: Directory, clock: Clock) -> list[Check]:
    """No decision waits for its cell any longer than a restart of that cell takes."""
    waiting = await directory.unsettled(limit=1000)
    late = [tenant for tenant in waiting if clock.now() - tenant.updated_at > LATE]
    names = ", ".join(
        f"{tenant.tenant_id} ({tenant.state}, {tenant.assignment.cell_id if tenant.assignment else 'nowhere'})"
        for tenant in late[:SHOWN]
    )
    return [
        Check(
            name="decisions are carried out",
            ok=not late,
            detail=f"{len(late)} wait for their cells: {names}" if late else f"{len(waiting)} on their way",
            remedy="bring back these cells; where one answers and refuses, see its own checks here"
            if late
            else "",
        )
    ]


async def room(directory: Directory, chooser: Chooser) -> list[Check]:
    """A new tenant finds a place."""
    found = (await chooser.explain(Wanted())).found
    free = sum(cell.free_tenants for cell in await directory.cells() if cell.state == "open")
    if isinstance(found, Nowhere):
        reasons = "; ".join(found.reasons[:SHOWN])
        remedy = "register a cell, open one (`cellway cells open`), or raise a capacity"
        return [Check(name="there is room for tenants", ok=False, detail=reasons, remedy=remedy)]
    return [Check(name="there is room for tenants", ok=True, detail=f"{free} places are free in open cells")]
