"""Whether what answers at an address is the cell that was registered, and what it tells of itself. Pure."""

from dataclasses import asdict, replace

from directory.control.contract import CellReport
from directory.values import Capacity, Cell, CellChange


def mismatch(cell: Cell, report: CellReport) -> str | None:
    """What is wrong with the answer; None when the cell has proved itself."""
    if report.cell_id != cell.cell_id:
        return f"{report.cell_id} answers at the control address of {cell.cell_id}"
    if report.region != cell.region:
        return f"{cell.cell_id} says that it is in region {report.region}, and is registered in {cell.region}"
    return None


def untold(cell: Cell, report: CellReport) -> CellChange | None:
    """What the cell knows of itself and its operator has not told, asked once, as it joins; None: nothing.

    What the operator says later wins, and so does that something is not known.
    """
    version = report.version if not cell.version else ""
    told = Capacity() if report.capacity is None else report.capacity.value()
    lacking = {
        name: number for name, number in asdict(told).items() if number and getattr(cell.capacity, name) is None
    }
    if not version and not lacking:
        return None
    return CellChange(version=version or None, capacity=replace(cell.capacity, **lacking) if lacking else None)
