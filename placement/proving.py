"""Asks a cell who it is: the proof that it is the registered one, and the probe of whether it answers at all."""

import asyncio

from directory.control.client import CellControl
from directory.control.contract import CellReport
from directory.errors import BadAddress, NotTrusted, Refused, Silent, Unavailable
from directory.values import Cell
from placement.errors import NotProved
from placement.reach import Reach
from placement.rules.proof import mismatch

PROOF_SECONDS = 3.0


async def prove(control: CellControl, reach: Reach, cell: Cell) -> CellReport:
    """The cell's own report. Silent; NotProved when somebody else answers, as its certificate or what it
    says tells, or when it refuses the token.
    """
    try:
        report = await _proof(control, cell)
    except (Silent, NotProved) as error:
        reach.failed(cell.cell_id, str(error))
        raise
    reach.answered(cell.cell_id)
    return report


async def _proof(control: CellControl, cell: Cell) -> CellReport:
    try:
        async with asyncio.timeout(PROOF_SECONDS):
            report = await control.cell(cell)
    except TimeoutError as error:
        raise Silent(f"cell {cell.cell_id} did not answer within {PROOF_SECONDS:g} s") from error
    except NotTrusted as error:
        raise NotProved(str(error)) from error
    except Unavailable as error:
        raise Silent(str(error)) from error
    except BadAddress:
        raise
    except Refused as error:
        raise NotProved(f"what answers for cell {cell.cell_id} refuses the control token: {error}") from error
    if (wrong := mismatch(cell, report)) is not None:
        raise NotProved(wrong)
    return report
