"""Options that many commands take."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from console.calls import Placement
from console.errors import Refused, Usage
from console.whereabouts import Whereabouts

Root = Annotated[
    Path,
    typer.Option("--root", envvar="CELLWAY_ROOT", help="The folder of a platform that `cellway up` runs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many.")]
Tenant = Annotated[str, typer.Argument(help="The tenant's name.", metavar="TENANT")]
Cell = Annotated[str, typer.Argument(help="The cell's name.", metavar="CELL")]

HERE = Path(".cellway")
PATIENCE_SECONDS = 10.0
"""How long a creation is tried again, as the same intent, while the platform says "not now"."""


def placement(root: Path) -> Placement:
    """Placement, to be used in a `with`."""
    return Placement(Whereabouts(root).placement())


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; without one, `--yes` must have been said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage(f"{question} Say --yes: there is no terminal to ask on")
    if not typer.confirm(question):
        raise Refused("nothing was changed")
