"""Options that many commands take."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

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


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with the fields of each parameter that is a dataclass as options of their own."""
    parameters: list[inspect.Parameter] = []
    spreads: dict[str, type] = {}
    for parameter in inspect.signature(command).parameters.values():
        if is_dataclass(kind := parameter.annotation):
            spreads[parameter.name] = kind  # type: ignore[assignment]  # a class, as annotations are
            parameters += [
                parameter.replace(name=each.name, default=each.default, annotation=each.type)
                for each in fields(kind)
            ]
        else:
            parameters.append(parameter)

    @wraps(command)
    def spread_out(**given: Any) -> None:
        whole = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)})
            for name, kind in spreads.items()
        }
        command(**given, **whole)

    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return spread_out


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
