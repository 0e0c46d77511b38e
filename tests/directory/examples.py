"""Cells and tenants to try things on."""

from directory.truth import Directory
from directory.values import NewCell, NewTenant, Rate


def new_cell(cell_id: str = "cell-1", capacity_tenants: int = 10, port: int = 9000) -> NewCell:
    """A cell as it registers."""
    return NewCell(cell_id, "eu", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", capacity_tenants)


async def open_cell(truth: Directory, cell_id: str = "cell-1", capacity_tenants: int = 10) -> None:
    """A registered cell that takes tenants."""
    await truth.register_cell(new_cell(cell_id, capacity_tenants))
    await truth.change_cell(cell_id, "open")


def new_tenant(tenant_id: str = "acme", rate: Rate | None = None) -> NewTenant:
    """A tenant as it is asked for."""
    return NewTenant(tenant_id, tenant_id.title(), rate=rate)
