"""`cellway secrets`"""

from pathlib import Path
from typing import Annotated

import typer

from console import output
from console.commands.options import Json
from console.errors import EXIT_CODES, Usage


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(secrets)


def secrets(
    folder: Annotated[Path, typer.Argument(help="Where they are kept; made for its owner alone.")],
    cell: Annotated[
        list[str] | None, typer.Option("--cell", help="A cell; may be said again. Otherwise cell-1, -2 and -3.")
    ] = None,
    json: Json = False,
) -> None:
    """Make the secrets of a platform of containers that are not there yet: a file each, at random.

    Nothing that is there is replaced. To change a secret, remove its file, run this again, then the jobs that set
    servers up, and restart whoever has it. The folder stays on the machine that runs the platform.
    """
    from console.stack.folder import fill
    from directory.rules.names import is_name

    cells = tuple(cell) if cell else ("cell-1", "cell-2", "cell-3")
    if wrong := [name for name in cells if not is_name(name)]:
        raise Usage(f"{wrong[0]!r}: a cell's name has 2 to 40 lower-case letters, digits and inner dashes")
    written = fill(folder, cells)
    if json:
        output.as_json({"made": written.made, "anew": written.anew, "kept": written.kept})
        return
    kept = f"; {len(written.kept)} were there and stay as they are" if written.kept else ""
    anew = f"; {len(written.anew)} follow others, and are new: {', '.join(written.anew)}" if written.anew else ""
    output.line(f"{len(written.made)} secrets made in {folder}{kept}{anew}")
