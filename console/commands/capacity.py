"""`cellway capacity`"""

import typer

from console import output
from console.commands.options import HERE, Json, Root, placement
from console.errors import EXIT_CODES


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(capacity)


def capacity(root: Root = HERE, json: Json = False) -> None:
    """Show when each region is full of what, and by when to open a cell; the most urgent first."""
    with placement(root) as service:
        found = service.call("GET", "/v1/capacity")
    if json:
        output.as_json(found)
        return
    from console.capacity import draw

    output.draw(draw(found))
