"""Whether what answers at an address is the cell that was registered. Pure."""

from directory.control.contract import CellReport
from directory.values import Cell


def mismatch(cell: Cell, report: CellReport) -> str | None:
    """What is wrong with the answer; None when the cell has proved itself."""
    if report.cell_id != cell.cell_id:
        return f"{report.cell_id} answers at the control address of {cell.cell_id}"
    if report.region != cell.region:
        return f"{cell.cell_id} says that it is in region {report.region}, and is registered in {cell.region}"
    return None
