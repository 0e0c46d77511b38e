"""`cellway doctor`"""

from typing import Any

import typer

from console import output
from console.commands.options import HERE, Json, Root, placement
from console.errors import EXIT_CODES, EXIT_REFUSED

CHECKS_SECONDS = 70.0
"""Placement itself answers within a minute."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(doctor)


def doctor(root: Root = HERE, json: Json = False) -> None:
    """Examine the invariants of the running system, and say what to do; 1 when one does not hold."""
    with placement(root) as service:
        found: dict[str, Any] = service.call("GET", "/v1/checks", seconds=CHECKS_SECONDS)
    if json:
        output.as_json(found)
    else:
        _show(found["checks"])
    if not found["ok"]:
        raise typer.Exit(EXIT_REFUSED)


def _show(checks: list[dict[str, Any]]) -> None:
    output.table(("", "CHECK", "FOUND"), [(output.mark(c["ok"]), c["name"], c["detail"] or None) for c in checks])
    failed = [check for check in checks if not check["ok"]]
    output.line()
    if not failed:
        output.line(f"All {len(checks)} checks hold.")
        return
    output.line(f"{len(failed)} of {len(checks)} checks do not hold. What to do:")
    output.table(("CHECK", "REMEDY"), [(check["name"], check["remedy"]) for check in failed])
