"""Cells are well in the eyes of those who see them."""

from directory.control.contract import Check
from directory.truth import Directory
from placement.witnesses import Witnesses

NAME = "cells are well in the eyes of the registry and of routers"
SHOWN = 5


async def well(directory: Directory, witnesses: Witnesses) -> list[Check]:
    """Nothing speaks against any that serves tenants."""
    cells = [
        cell.cell_id for cell in await directory.cells() if cell.state not in ("joining", "retired", "failed")
    ]
    against = [standing for standing in witnesses.standings(cells).values() if standing.verdict != "well"]
    if not against:
        return [Check(name=NAME, ok=True, detail=f"nothing speaks against any of {len(cells)}")]
    said = "; ".join(f"{one.cell_id} is {one.verdict}: {one.reasons}" for one in against[:SHOWN])
    remedy = "see the cell's own checks; where only routers suspect it, see whether they reach its address"
    return [Check(name=NAME, ok=False, detail=said, remedy=remedy)]
