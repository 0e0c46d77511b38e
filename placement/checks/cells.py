"""Every cell answers, finds itself well, and its fences agree with the directory.

Cell by cell and page by page, so a large fleet needs no more memory than a small one.
"""

from collections.abc import Sequence

from directory.control.client import CellControl
from directory.control.contract import Check, FenceReport
from directory.errors import DirectoryError
from directory.truth import Directory
from directory.values import Cell, Tenant
from placement.rules.compare import Fault, faults, homes
from placement.rules.proof import mismatch

PAGE = 1000
SHOWN = 5
_BACK = "start the cell; see its log. Its tenants get 503 until then, others notice nothing"


async def examine(directory: Directory, control: CellControl, cell: Cell) -> list[Check]:
    """All checks of one cell; when it does not answer, that is the only one."""
    try:
        report = await control.cell(cell)
        if (wrong := mismatch(cell, report)) is not None:
            remedy = "correct its addresses (`cellway cells show`), or stop what answers there"
            return [Check(name=f"{cell.cell_id} answers", ok=False, detail=wrong, remedy=remedy)]
        answers = Check(name=f"{cell.cell_id} answers", ok=True, detail=f"version {report.version or 'unknown'}")
        return [answers, await _fences(directory, control, cell), *await _own(control, cell)]
    except DirectoryError as error:
        return [Check(name=f"{cell.cell_id} answers", ok=False, detail=str(error), remedy=_BACK)]


async def _own(control: CellControl, cell: Cell) -> list[Check]:
    found = (await control.checks(cell)).checks
    return [check.model_copy(update={"name": f"{cell.cell_id}: {check.name}"}) for check in found]


async def _fences(directory: Directory, control: CellControl, cell: Cell) -> Check:
    wrong: list[Fault] = []
    after, count, more = "", 0, True
    while more and len(wrong) < SHOWN:
        before = await directory.tenants(after=after, limit=PAGE, cell_id=cell.cell_id)
        fences = (await control.fences(cell, after, PAGE)).fences
        end = _end(before, fences)
        again = await directory.tenants(after=after, limit=2 * PAGE, cell_id=cell.cell_id)
        wrong += faults(
            homes([t for t in before if end is None or t.tenant_id <= end]),
            [fence for fence in fences if end is None or fence.tenant_id <= end],
            homes(again),
        )
        count += len(fences)
        after, more = end or "", end is not None
    name = f"{cell.cell_id} may write exactly for its tenants"
    if not wrong:
        return Check(name=name, ok=True, detail=f"{count} fences")
    remedies = dict.fromkeys(fault.remedy for fault in wrong)
    detail = "; ".join(fault.text for fault in wrong[:SHOWN])
    return Check(name=name, ok=False, detail=detail, remedy="; ".join(remedies))


def _end(tenants: Sequence[Tenant], fences: Sequence[FenceReport]) -> str | None:
    """Up to which name both pages are complete; None when both are the last."""
    full = [page[-1].tenant_id for page in (tenants, fences) if len(page) >= PAGE]
    return min(full, default=None)
