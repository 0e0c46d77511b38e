"""`cellway reservations …`"""

from typing import Annotated, Any

import typer

from console import output
from console.calls import quoted
from console.commands.options import HERE, Json, Limit, Root, placement
from console.errors import EXIT_CODES

app = typer.Typer(
    help="Look at room that is kept for tenants that are expected, and give it up.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
COLUMNS = ("RESERVATION", "CELL", "PLAN", "KEEPS", "UNTIL", "HOLDS")

Name = Annotated[str, typer.Argument(help="The reservation.", metavar="RESERVATION")]


@app.command("list", epilog=EXIT_CODES)
def list_(limit: Limit = 1000, root: Root = HERE, json: Json = False) -> None:
    """List reservations, the oldest first."""
    with placement(root) as service:
        found = service.listed("/v1/reservations", "reservations", limit + 1)
    if len(found) > limit:
        output.remark(f"only the oldest {limit} are listed, and there are more: say --limit")
    found = found[:limit]
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(each) for each in found])
    else:
        output.line("Nothing is reserved. Reserve room: cellway place --reserve 10m")


@app.command(epilog=EXIT_CODES)
def show(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Show one reservation."""
    with placement(root) as service:
        found = service.call("GET", f"/v1/reservations/{quoted(name)}")
    if json:
        output.as_json(found)
    else:
        output.facts(dict(zip((column.lower() for column in COLUMNS), _row(found), strict=True)))


@app.command(epilog=EXIT_CODES)
def cancel(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Give a reservation up: its room is free again."""
    with placement(root) as service:
        service.call("DELETE", f"/v1/reservations/{quoted(name)}")
    if json:
        output.as_json({"reservation_id": name})
    else:
        output.line(f"{name} is given up.")


def _row(found: dict[str, Any]) -> tuple[Any, ...]:
    from console.places import taken
    from console.steps import moment

    return (
        found["reservation_id"],
        found["cell_id"],
        found["plan"],
        taken(found["takes"]),
        moment(found["expire_time"]),
        found["holds"],
    )
