"""`cellway cells …`"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, quoted
from console.commands import loads
from console.commands.holding import Holding
from console.commands.moves import seconds_of
from console.commands.options import HERE, Cell, Json, Limit, Root, Yes, confirm, placement, spread
from console.commands.plan import follow_drain
from console.errors import EXIT_CODES, NotFound, Refused, Usage

app = typer.Typer(
    help="Register, look at and change cells; cordon, drain, open, fail and retire them.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
loads.add_to_cells(app)
COLUMNS = (
    *("CELL", "REGION", "STATE", "HEALTH", "TENANTS", "CAPACITY", "DEDICATED TO", "VERSION", "ADDRESS"),
    *("CONTROL ADDRESS", "TAGS"),
)
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
        _remark_on_those_down(found)
    else:
        output.line("No cells. Register one: cellway cells register --help")


@app.command(epilog=EXIT_CODES)
def show(cell: Cell, root: Root = HERE, json: Json = False) -> None:
    """Show one cell: what it holds, how full it is, how it is in the eyes of those who see it."""
    with placement(root) as service:
        _print(service.call("GET", f"/v1/cells/{quoted(cell)}"), json)


@app.command(epilog=EXIT_CODES)
@spread
def register(
    cell: Cell,
    region: Annotated[str, typer.Option(help="The region that it is in; it must say the same.")],
    address: Annotated[str, typer.Option(help="Where routers reach it, such as http://10.0.0.7:8000.")],
    control_address: Annotated[str, typer.Option(help="Where placement reaches its control API.")],
    capacity: Annotated[int, typer.Option(help="How many tenants it may hold.")],
    holding: Holding,
    version: Annotated[str, typer.Option(help="Otherwise as the cell says.")] = "",
    tag: Tags = None,
    or_update: Annotated[
        bool, typer.Option("--or-update", help="When it is registered already, change what is said here.")
    ] = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Register a cell. It opens when it proves who it is; until then it is joining, and asked again.

    What it can hold and is not said here is taken from the cell, when that knows.
    """
    body = {
        "cell_id": cell,
        "region": region,
        "address": address,
        "control_address": control_address,
        "capacity_tenants": capacity,
        "version": version,
        "tags": tag or [],
        **holding.body(),
    }
    with placement(root) as service:
        made = _updated(service, cell, body) if or_update else None
        if made is None:
            made = service.call("POST", "/v1/cells", body)
    _print(made, json)
    if made.get("remark") and not json:
        output.line(f"\nIt does not take tenants yet: {made['remark']}. Placement asks it again every second.")


def _updated(service: Placement, cell: str, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cell with what was said of it; None when there is none. Refused: its region stays."""
    path = f"/v1/cells/{quoted(cell)}"
    try:
        found = service.call("GET", path)
    except NotFound:
        return None
    if found["region"] != wanted["region"]:
        raise Refused(f"{cell} is registered in the region {found['region']}, where it stays")
    said = {name: value for name, value in wanted.items() if name not in ("cell_id", "region") and value}
    return dict(service.call("PATCH", path, said))


@app.command(epilog=EXIT_CODES)
@spread
def update(
    cell: Cell,
    holding: Holding,
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
    body = {name: value for name, value in wanted.items() if value is not None} | holding.body()
    if not body:
        raise Usage("say what to change: `cellway cells update --help`")
    with placement(root) as service:
        _print(service.call("PATCH", f"/v1/cells/{quoted(cell)}", body), json)


# As it was called before.
app.command("change", hidden=True, epilog=EXIT_CODES)(update)


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


@app.command(epilog=EXIT_CODES)
def drain(
    cell: Cell,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until the cell is empty.")] = False,
    timeout: Annotated[str, typer.Option(help="Follow it no longer than this: 90s, 30m, 12h.")] = "12h",
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Place no new tenants there, and have those that it has moved away; `open` or `cordon` calls it off."""
    patience_seconds = seconds_of(timeout)
    with placement(root) as service:
        found = service.call("POST", f"/v1/cells/{quoted(cell)}:drain")
        if watch:
            drained = follow_drain(service, cell, patience_seconds, json)
            found = service.call("GET", f"/v1/cells/{quoted(cell)}")
            if drained["state"] != "empty":
                _print(found, json)
                raise Refused(f"the drain of {cell} was called off: it is {drained['state']}")
        _print(found, json)


@app.command(epilog=EXIT_CODES)
def fail(cell: Cell, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Give a lost cell up for now: it gets nothing new, and its tenants stay. Says what its recovery needs."""
    confirm(f"Take cell {cell} for lost, so that it gets no new tenants and no moves?", yes)
    with placement(root) as service:
        failed = service.call("POST", f"/v1/cells/{quoted(cell)}:fail")
    if json:
        output.as_json(failed)
    else:
        _draw(failed["recovery"])


@app.command(epilog=EXIT_CODES)
def recovery(cell: Cell, root: Root = HERE, json: Json = False) -> None:
    """Show what it takes to bring a cell back, what becomes of its moves, and what is lost if it stays away."""
    with placement(root) as service:
        found = service.call("GET", f"/v1/cells/{quoted(cell)}/recovery")
    if json:
        output.as_json(found)
    else:
        _draw(found)


@app.command(epilog=EXIT_CODES)
def retire(cell: Cell, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Give up for good a cell in which nobody lives and that no move needs; its name is not used again."""
    confirm(f"Retire cell {cell} for good?", yes)
    with placement(root) as service:
        _print(service.call("POST", f"/v1/cells/{quoted(cell)}:retire"), json)


def _print(cell: dict[str, Any], json: bool) -> None:
    from console.cells import facts

    if json:
        output.as_json(cell)
    else:
        output.facts(facts(cell))


def _draw(recovery: dict[str, Any]) -> None:
    from console.cells import recovery as drawn

    output.draw(drawn(recovery))


def _remark_on_those_down(found: list[dict[str, Any]]) -> None:
    """Nothing is done about them but by an operator."""
    for cell in found:
        if cell["health"]["verdict"] == "down" and cell["state"] not in ("joining", "retired", "failed"):
            output.remark(
                f"{cell['cell_id']} is believed dead ({cell['health']['reasons']}): bring it back, or give it up "
                f"for now with `cellway cells fail {cell['cell_id']}`"
            )


def _row(cell: dict[str, Any]) -> tuple[Any, ...]:
    from console.cells import health

    return (
        cell["cell_id"],
        cell["region"],
        cell["state"],
        health(cell),
        cell["tenants"],
        cell["capacity_tenants"],
        cell["dedicated_to"],
        cell["version"] or None,
        cell["address"],
        cell["control_address"],
        cell["tags"],
    )
