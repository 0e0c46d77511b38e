"""`cellway cells …`"""

from typing import Annotated, Any

import typer

from console import output
from console.calls import quoted
from console.commands.options import HERE, Cell, Json, Limit, Root, placement
from console.errors import EXIT_CODES, Usage

app = typer.Typer(help="Register, look at, cordon and open cells.", no_args_is_help=True, epilog=EXIT_CODES)
COLUMNS = ("CELL", "REGION", "STATE", "TENANTS", "CAPACITY", "VERSION", "ADDRESS", "CONTROL ADDRESS", "TAGS")
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be said again.")]


@app.command("list", epilog=EXIT_CODES)
def list_(limit: Limit = 10_000, root: Root = HERE, json: Json = False) -> None:
    """List cells and how full they are."""
    with placement(root) as service:
        found = service.listed("/v1/cells", "cells", limit)
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(cell) for cell in found], right=("TENANTS", "CAPACITY"))
    else:
        output.line("No cells. Register one: cellway cells register --help")


@app.command(epilog=EXIT_CODES)
def show(cell: Cell, root: Root = HERE, json: Json = False) -> None:
    """Show one cell."""
    with placement(root) as service:
        _print(service.call("GET", f"/v1/cells/{quoted(cell)}"), json)


@app.command(epilog=EXIT_CODES)
def register(
    cell: Cell,
    region: Annotated[str, typer.Option(help="The region that it is in; it must say the same.")],
    address: Annotated[str, typer.Option(help="Where routers reach it, such as http://10.0.0.7:8000.")],
    control_address: Annotated[str, typer.Option(help="Where placement reaches its control API.")],
    capacity: Annotated[int, typer.Option(help="How many tenants it may hold.")],
    version: Annotated[str, typer.Option(help="Otherwise as the cell says.")] = "",
    tag: Tags = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Register a cell. It opens when it proves who it is; until then it is joining, and asked again."""
    body = {
        "cell_id": cell,
        "region": region,
        "address": address,
        "control_address": control_address,
        "capacity_tenants": capacity,
        "version": version,
        "tags": tag or [],
    }
    with placement(root) as service:
        made = service.call("POST", "/v1/cells", body)
    _print(made, json)
    if made["remark"] and not json:
        output.line(f"\nIt does not take tenants yet: {made['remark']}. Placement asks it again every second.")


@app.command(epilog=EXIT_CODES)
def change(
    cell: Cell,
    address: Annotated[str | None, typer.Option(help="Where routers reach it.")] = None,
    control_address: Annotated[str | None, typer.Option(help="Where placement reaches its control API.")] = None,
    capacity: Annotated[int | None, typer.Option(help="How many tenants it may hold.")] = None,
    version: Annotated[str | None, typer.Option(help="The version that it runs.")] = None,
    tag: Tags = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Change what is registered about a cell; what is not said stays."""
    wanted = {
        "address": address,
        "control_address": control_address,
        "capacity_tenants": capacity,
        "version": version,
        "tags": tag,
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    if not body:
        raise Usage("say what to change: `cellway cells change --help`")
    with placement(root) as service:
        _print(service.call("PATCH", f"/v1/cells/{quoted(cell)}", body), json)


@app.command(epilog=EXIT_CODES)
def cordon(cell: Cell, root: Root = HERE, json: Json = False) -> None:
    """Keep the cell's tenants, place no new ones there."""
    with placement(root) as service:
        _print(service.call("POST", f"/v1/cells/{quoted(cell)}:cordon"), json)


@app.command("open", epilog=EXIT_CODES)
def open_(cell: Cell, root: Root = HERE, json: Json = False) -> None:
    """Let the cell take tenants, once it has proved who it is."""
    with placement(root) as service:
        _print(service.call("POST", f"/v1/cells/{quoted(cell)}:open"), json)


def _print(cell: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(cell)
    else:
        output.facts(dict(zip((column.lower() for column in COLUMNS), _row(cell), strict=True)))


def _row(cell: dict[str, Any]) -> tuple[Any, ...]:
    return (
        cell["cell_id"],
        cell["region"],
        cell["state"],
        cell["tenants"],
        cell["capacity_tenants"],
        cell["version"] or None,
        cell["address"],
        cell["control_address"],
        cell["tags"],
    )
