"""Cells are well in the eyes of those who see them. One that is not is told to people, and nothing more."""

from collections.abc import Iterable, Sequence

from directory.control.contract import Check
from directory.truth import Directory
from directory.values import Cell, CellState
from placement.rules.standing import Standing
from placement.witnesses import Witnesses
from runtime.health import Unhealthy

NAME = "cells are well in the eyes of the registry and of routers"
SHOWN = 5
UNSERVING: frozenset[CellState] = frozenset(("joining", "retired", "failed"))
"""In these nobody expects a cell to serve."""


async def well(directory: Directory, witnesses: Witnesses) -> list[Check]:
    """Nothing speaks against any that serves tenants."""
    cells = await directory.cells()
    found = _serving(cells, witnesses)
    against = [standing for standing in found if standing.verdict != "well"]
    if not against:
        detail = f"nothing speaks against any of {len(found)}{_back(cells, witnesses)}"
        return [Check(name=NAME, ok=True, detail=detail)]
    remedy = "see the cell's own checks; where only routers suspect it, see whether they reach its address"
    if down := [standing for standing in against if standing.verdict == "down"]:
        remedy += f"; {_what_to_do(down[0].cell_id)}"
        against = [*down, *(standing for standing in against if standing.verdict != "down")]
    return [Check(name=NAME, ok=False, detail=_told(against), remedy=remedy)]


async def check(directory: Directory, witnesses: Witnesses) -> str | None:
    """For `/health/ready`, where it is shown only: a cell that is down is no reason to do without placement."""
    found = _serving(await directory.cells(), witnesses)
    if down := [standing for standing in found if standing.verdict == "down"]:
        raise Unhealthy(f"{_told(down)}; {_what_to_do(down[0].cell_id)}")
    return f"none of {len(found)} is believed dead"


def _serving(cells: Sequence[Cell], witnesses: Witnesses) -> Sequence[Standing]:
    return list(witnesses.standings([cell.cell_id for cell in cells if cell.state not in UNSERVING]).values())


def _back(cells: Sequence[Cell], witnesses: Witnesses) -> str:
    """Who was taken for lost, and answers again."""
    standings = witnesses.standings([cell.cell_id for cell in cells if cell.state == "failed"])
    back = [
        name
        for name, standing in standings.items()
        if standing.verdict == "well" and witnesses.last_seen(name).answered is not None
    ]
    if not back:
        return ""
    return f"; {', '.join(back[:SHOWN])} was taken for lost and answers again: cellway cells cordon {back[0]}"


def _told(against: Sequence[Standing]) -> str:
    more = f"; and {len(against) - SHOWN} more" if len(against) > SHOWN else ""
    return "; ".join(_sentences(against[:SHOWN])) + more


def _sentences(against: Iterable[Standing]) -> Iterable[str]:
    return (f"{one.cell_id} is {one.verdict}: {one.reasons}" for one in against)


def _what_to_do(cell_id: str) -> str:
    return f"bring it back, or give it up for now so that it gets no new tenants: cellway cells fail {cell_id}"
