"""Decisions are carried out, and there is room for tenants, now and in the weeks to come."""

from collections.abc import Sequence
from datetime import date, timedelta

from directory.control.contract import Check
from directory.truth import Directory
from placement.balancing.choosing import Nowhere
from placement.choosing import Chooser
from placement.forecasts import Forecasts
from placement.rules.filling import Foretold, is_due
from placement.rules.picturing import Wanted
from runtime.clock import Clock

LATE = timedelta(seconds=30)
FILLING = "no pool fills up"
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


async def filling(forecasts: Forecasts) -> list[Check]:
    """Nobody has to open a cell yet, as `cellway capacity` foretells. Told before a pool is full."""
    found = await forecasts.look()
    due = [one for one in found.pools if is_due(one, found.day.toordinal())]
    if not due:
        return [Check(name=FILLING, ok=True, detail=_soonest(found.pools))]
    told = "; ".join(_fills_up(one) for one in due[:SHOWN])
    more = f"; and {len(due) - SHOWN} more" if len(due) > SHOWN else ""
    regions = ", ".join(dict.fromkeys(one.pool.region for one in due[:SHOWN]))
    remedy = f"open a cell in {regions}, or raise a capacity there: `cellway capacity` says how many, and by when"
    return [Check(name=FILLING, ok=False, detail=told + more, remedy=remedy)]


def _fills_up(one: Foretold) -> str:
    """Which, when, and why that is believed."""
    told, of = one.forecast, f"{one.pool.region} is full of {one.pool.resource}"
    if told.outlook == "full" or told.likely is None or told.open_by is None:
        return f"{of}: {one.why}" if told.outlook == "full" else f"{of} soon: {one.share:.0%} is used, {one.why}"
    open_by = date.fromordinal(told.open_by)
    return f"{of} on {date.fromordinal(told.likely)}, open a cell by {open_by}: {one.why}"


def _soonest(pools: Sequence[Foretold]) -> str:
    """The most urgent comes first."""
    if not pools:
        return "there is no open cell that could become full"
    first = pools[0]
    if first.forecast.likely is None:
        return (
            f"none is foretold to be full within a year; {first.pool.region}, {first.pool.resource}: {first.why}"
        )
    when = date.fromordinal(first.forecast.likely)
    return f"the first to be full is {first.pool.region}, of {first.pool.resource} on {when}"
