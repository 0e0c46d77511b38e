"""Where a tenant's work is: in its cell, whether or not that has carried out the last decision."""

from collections.abc import Mapping

from directory.errors import NotAllowed, NotFound, Unavailable
from directory.truth import Directory
from directory.values import Cell
from placement.api.values import name


async def home(directory: Directory, path: Mapping[str, str]) -> tuple[str, Cell]:
    """The tenant that the path names, and its cell. NotFound; NotAllowed when it is deleted."""
    tenant = await directory.tenant(name(path, "tenant"))
    if tenant.assignment is None:
        raise NotAllowed(f"tenant {tenant.tenant_id} is deleted: it has no work")
    return tenant.tenant_id, await directory.cell(tenant.assignment.cell_id)


def opening(cell: Cell, tenant_id: str, error: NotFound) -> Unavailable:
    """What it means that the cell of a tenant does not know it."""
    unavailable = Unavailable(f"cell {cell.cell_id} is just opening for {tenant_id}")
    unavailable.__cause__ = error
    return unavailable
