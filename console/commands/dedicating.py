"""`cellway tenants dedicate`: a tenant gets a cell of its own, or gives it back.

The cell is dedicated first: it refuses when others live there, and then nothing has changed. In between, and until
it is moved, the tenant is served where it lives.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, quoted
from console.commands.options import HERE, Json, Root, Tenant, placement
from console.errors import EXIT_CODES, Refused, Usage

MOST_CELLS = 10_000
Wanted = Annotated[str | None, typer.Option("--cell", help="An empty cell; otherwise one that fits is taken.")]
Shared = Annotated[bool, typer.Option("--shared", help="Live among others again, and give the cell back.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(dedicate)


def dedicate(
    tenant: Tenant, cell: Wanted = None, shared: Shared = False, root: Root = HERE, json: Json = False
) -> None:
    """Give a tenant an empty cell of its own. It is moved there by the next plan, or when you say so."""
    if shared and cell is not None:
        raise Usage("--shared gives back every cell that is the tenant's own: do not say --cell")
    with placement(root) as service:
        found = service.call("GET", f"/v1/tenants/{quoted(tenant)}")
        if found["state"] == "deleted":
            raise Refused(f"tenant {tenant} is deleted")
        cells = service.listed("/v1/cells", "cells", MOST_CELLS)
        if shared:
            _give_back(service, found, cells, json)
        else:
            _dedicate(service, found, _chosen(found, cells, cell), json)


def _dedicate(service: Placement, found: dict[str, Any], cell: dict[str, Any], json: bool) -> None:
    tenant, name = found["tenant_id"], cell["cell_id"]
    if cell["dedicated_to"] != tenant:
        cell = service.call("PATCH", f"/v1/cells/{quoted(name)}", {"dedicated_to": tenant})
    found = service.call("PATCH", f"/v1/tenants/{quoted(tenant)}", {"dedicated_to": tenant})
    if json:
        output.as_json({"tenant": found, "cells": [cell]})
        return
    output.line(f"{name} is dedicated to {tenant}: nobody else is placed there.")
    if cell["state"] != "open":
        output.line(f"It is {cell['state']}, and takes {tenant} once it is open: cellway cells open {name}")
    if found["cell_id"] != name:
        output.line(f"{tenant} lives in {found['cell_id']} until it is moved: by the next plan, or at once with")
        output.line(f"  cellway moves start {tenant} --to {name}")


def _give_back(service: Placement, found: dict[str, Any], cells: Sequence[dict[str, Any]], json: bool) -> None:
    tenant, owner = found["tenant_id"], found["dedicated_to"]
    # A cell may be left to give back when this command was interrupted.
    own = [cell for cell in cells if cell["dedicated_to"] in {tenant, owner} - {None}]
    if owner is not None:
        found = service.call("PATCH", f"/v1/tenants/{quoted(tenant)}", {"dedicated_to": None})
    given, kept = [], []
    for cell in own:
        try:
            given.append(service.call("PATCH", f"/v1/cells/{quoted(cell['cell_id'])}", {"dedicated_to": None}))
        except Refused as refused:
            kept.append(f"{cell['cell_id']} stays dedicated to {cell['dedicated_to']}: {refused}")
    if json:
        output.as_json({"tenant": found, "cells": given})
    else:
        output.line(f"{tenant} lives among others, in {found['cell_id']} until a plan moves it.")
        for cell in given:
            output.line(f"{cell['cell_id']} takes others too.")
    for why in kept:
        output.remark(why)


def _chosen(found: dict[str, Any], cells: Sequence[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    """The cell that was named, one that is the tenant's own already, or an empty one. Refused; NotFound."""
    if wanted is not None:
        named = next((cell for cell in cells if cell["cell_id"] == wanted), None)
        if named is None:
            raise Refused(f"there is no cell {wanted}: see `cellway cells list`")
        if (why := _unfit(found, named)) is not None:
            raise Refused(why)
        return named
    fit = [cell for cell in cells if _unfit(found, cell) is None]
    ranks = (
        (cell for cell in fit if cell["dedicated_to"] == found["tenant_id"]),
        (cell for cell in fit if cell["cell_id"] == found["cell_id"] and cell["tenants"] == 1),
        (cell for cell in fit if cell["tenants"] == 0 and cell["state"] == "open"),
    )
    for rank in ranks:
        if (first := next(rank, None)) is not None:
            return first
    wishes = [*([f"in region {found['region']}"] if found["region"] else []), *found["tags"]]
    asked = f" ({', '.join(wishes)})" if wishes else ""
    raise Refused(
        f"no open cell is empty and dedicated to nobody{asked}: register one, or drain one and say --cell"
    )


def _unfit(found: dict[str, Any], cell: dict[str, Any]) -> str | None:
    """Why it cannot be this tenant's own; None: nothing is in the way."""
    name, tenant = cell["cell_id"], found["tenant_id"]
    if cell["dedicated_to"] not in (None, tenant):
        return f"cell {name} is dedicated to {cell['dedicated_to']} already"
    if found["region"] not in (None, cell["region"]):
        return f"cell {name} is in region {cell['region']}, and {tenant} must live in {found['region']}"
    if lacking := sorted(set(found["tags"]) - set(cell["tags"])):
        return f"cell {name} lacks {', '.join(lacking)}, which {tenant} must have"
    if cell["state"] in ("failed", "retired"):
        return f"cell {name} is {cell['state']}"
    strangers = cell["tenants"] - (found["cell_id"] == name)
    if strangers and cell["dedicated_to"] is None:
        return f"others live in cell {name} ({strangers}): take an empty cell, or drain this one first"
    return None
