"""`cellway token`"""

import typer

from console import output
from console.commands.options import HERE, Root
from console.errors import EXIT_CODES
from console.whereabouts import Whereabouts


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(token)


def token(root: Root = HERE) -> None:
    """Print the operator's token, for calling placement with other programs: TOKEN=$(cellway token)."""
    output.line(Whereabouts(root).placement().token or "")
