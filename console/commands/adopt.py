"""`cellway adopt`: a database that is not ours becomes a cell's, or is let go again."""

import json as documents
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from console import output
from console.commands.options import Json
from console.errors import EXIT_CODES, EXIT_OK, EXIT_REFUSED, EXIT_USAGE

DSN = "CELLWAY_ADOPT_DSN"
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="TABLE=COLUMN", help="A table's own tenant column; may be said again."),
]
Left = Annotated[
    list[str] | None,
    typer.Option(
        "--leave", metavar="TABLE", help="Its rows stay here, whoever they belong to; may be said again."
    ),
]
STYLES = {"ready": "green", "adopted": "green", "in the way": "bold red", "shared": "dim", "left": "dim"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(adopt)


def adopt(
    dsn: Annotated[
        str, typer.Argument(envvar=DSN, metavar="DSN", help="postgresql://owner:password@host:5432/database")
    ],
    tenant_column: Annotated[
        str, typer.Option(help="Says whose a row is, in every table that has it.")
    ] = "tenant_id",
    column: Columns = None,
    leave: Left = None,
    cell: Annotated[str, typer.Option(help="What the cell is to be called.")] = "",
    mover: Annotated[
        str, typer.Option(help="The role by which movers come; made unless it is there.")
    ] = "cell_mover",
    cells_path: Annotated[
        Path | None,
        typer.Option(envvar="CELLWAY_MIGRATION_CELLS_PATH", help="Write there what movers are to know of it."),
    ] = None,
    epochs: Annotated[
        Path | None, typer.Option(help="JSON: tenants that are there, and their epochs; otherwise 1 each.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take everything out again, without a trace.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it although a tenant is being moved.")] = False,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="The role is there, and its password is lost: give it another.")
    ] = False,
    json: Json = False,
) -> None:
    """Look at a service's own database: what is ready to live in a cell, what is in the way, and the SQL for it.

    Changes nothing without --apply or --remove. Adopting again is harmless, and due after every change of its
    tables. docs/adopting.md shows the whole way with an example.
    """
    options = ["--tenant-column", tenant_column, "--mover", mover]
    options += [part for said in column or () for part in ("--column", said)]
    options += [part for said in leave or () for part in ("--leave", said)]
    options += ["--cell", cell] if cell else []
    options += ["--cells-path", str(cells_path)] if cells_path is not None and cell else []
    options += ["--epochs", str(epochs)] if epochs is not None else []
    options += [flag for flag, said in (("--apply", apply), ("--remove", remove), ("--force", force)) if said]
    options += ["--new-password"] if new_password else []
    code, found = _asked(dsn, options)
    if json:
        output.as_json(found)
    else:
        _show(found, apply, remove)
    if code != EXIT_OK:
        raise typer.Exit(code)


def _asked(dsn: str, options: list[str]) -> tuple[int, dict[str, Any]]:
    """The migration program's answer. The DSN is not on its command line, which others could read."""
    ran = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-m", "migration.adopting", *options],
        env={**os.environ, DSN: dsn}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode in (EXIT_OK, EXIT_REFUSED) and ran.stdout.startswith("{"):
        found: dict[str, Any] = documents.loads(ran.stdout)
        return ran.returncode, found
    output.remark((ran.stderr.strip().splitlines() or ["the adoption ended without a word"])[-1])
    raise typer.Exit(ran.returncode if 0 < ran.returncode < 6 else EXIT_USAGE)


def _show(found: dict[str, Any], apply: bool, remove: bool) -> None:
    if remove:
        _lines(found["done"] or ["There is nothing of ours in it."])
        return
    output.line(f"{found['database']} (Postgres {found['postgres']})\n")
    rows = [
        (
            one["table"], output.coloured(one["state"], STYLES.get(one["state"], "yellow")), one["tenant_column"],
            one["tenants"], f"{one['rows']:,}", _size(one["bytes"]), one["remarks"] or None,
        )
        for one in found["tables"]
    ]  # fmt: skip
    columns = ("TABLE", "STATE", "TENANT BY", "TENANTS", "ROWS", "SIZE", "REMARKS")
    output.table(columns, rows, right=("TENANTS", "ROWS", "SIZE", "REMARKS"))
    for finding in found["findings"]:
        sign = "✗" if finding["obstacle"] else "•"
        output.line(f"\n{sign} {finding['about'] + ': ' if finding['about'] else ''}{finding['text']}.")
        if finding["mend"]:
            _lines(finding["mend"].splitlines(), "    ")
    output.line()
    if not found["ready"]:
        output.line("It cannot be adopted before what is marked ✗ is mended.")
    elif apply:
        _lines(found["done"] or ["Everything was there already."])
        _mover(found["mover"])
    elif found["adopted"]:
        output.line("It is adopted, and nothing has changed since.")
    else:
        _lines([said if said.startswith("--") else f"{said};" for said in found["sql"]])
        output.line("\nNothing was changed. With --apply this is done.")


def _mover(mover: dict[str, Any]) -> None:
    if mover["written"]:
        output.line(f"Movers find it in {mover['file']}.")
    elif mover["dsn"]:
        output.line(f"\nMovers read {mover['file']}; put this line there. It is shown this once.\n{mover['dsn']}")
    else:
        output.line(f"Movers read {mover['file']}: the address of this database as role {mover['role']}.")


def _lines(lines: list[str], indent: str = "") -> None:
    for text in lines:
        output.line(indent + text)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
