"""`cellway place`: where a tenant would be placed, and why; room is kept for it when that is asked for."""

from typing import Annotated, Any

import typer

from console import output
from console.commands.moves import seconds_of
from console.commands.options import HERE, Json, Root, placement
from console.errors import EXIT_CODES, EXIT_REFUSED, Usage


def add_to(app: typer.Typer) -> None:
    """One command."""
    app.command(epilog=EXIT_CODES)(place)


def place(
    plan: Annotated[str, typer.Option(help="The plan that the tenant is on.")] = "standard",
    region: Annotated[str | None, typer.Option(help="Only cells of this region.")] = None,
    near: Annotated[
        list[str] | None, typer.Option(help="A region that would be good; say it again for the next best.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only cells with this compliance tag; say it again for each.")
    ] = None,
    revenue: Annotated[
        float, typer.Option(min=0, help="What it pays a month, in the unit of the cells' caps.")
    ] = 0,
    dedicated_to: Annotated[str | None, typer.Option(help="Only cells that are dedicated to this.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="All of it: the terms of each score, and who does not fit and why.")
    ] = False,
    reserve: Annotated[
        str | None, typer.Option(help="Keep room there for so long, at most an hour: 90s, 10m, 1h.")
    ] = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Show in which cell a tenant would be placed just now. Nothing is reserved, unless --reserve says so."""
    if explain and reserve is not None:
        raise Usage("--explain reserves nothing: say one of --explain and --reserve")
    wanted = {
        "plan": plan,
        "region": region,
        "near": near or [],
        "tags": tag or [],
        "revenue": revenue,
        "dedicated_to": dedicated_to,
    }
    with placement(root) as service:
        if reserve is not None:
            _reserved(service.call("POST", "/v1/reservations", {**wanted, "ttl_seconds": _whole(reserve)}), json)
            return
        found = service.call("POST", "/v1/placements:explain", wanted)
    if json:
        output.as_json(found)
    elif explain:
        from console.places import draw

        output.draw(draw(found))
    else:
        _brief(found)
    if found["chosen"] is None:
        raise typer.Exit(EXIT_REFUSED)


def _whole(text: str) -> int:
    seconds = seconds_of(text)
    if seconds != int(seconds) or seconds < 1:
        raise Usage(f"{text!r} is no whole number of seconds, and at least one")
    return int(seconds)


def _reserved(made: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(made)
        return
    from console.places import taken
    from console.steps import moment

    output.facts(
        {
            "reservation": made["reservation_id"],
            "cell": made["cell_id"],
            "until": f"{moment(made['expire_time'])} UTC",
            "keeps": taken(made["takes"]),
            "why there": "; ".join(made["placement"]["reasons"]),
        }
    )
    output.line(f"Use it: cellway tenants create NAME --reservation {made['reservation_id']}")


def _brief(found: dict[str, Any]) -> None:
    chosen = found["chosen"]
    output.facts(
        {
            "cell": f"{chosen['cell_id']}, score {chosen['score']:.4f} of 1" if chosen else "none can take it",
            "why": "; ".join(found["reasons"]),
            "runners-up": [f"{each['cell_id']} ({each['score']:.4f})" for each in found["runners_up"]],
        }
    )
