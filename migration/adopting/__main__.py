"""`python -m migration.adopting [--apply | --remove [--force]] …`, with the DSN in CELLWAY_ADOPT_DSN.

Writes one JSON document to stdout, or one sentence to stderr; exit codes are the console's.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from migration.adopting.errors import AdoptingError, Usage
from migration.adopting.program import Order, run
from runtime import logs

DSN = "CELLWAY_ADOPT_DSN"


def main() -> int:
    """Adopt. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="migration.adopting", description="Take a database into the fleet.")
    parser.add_argument("--tenant-column", default="tenant_id")
    parser.add_argument("--column", action="append", default=[], metavar="TABLE=COLUMN")
    parser.add_argument("--leave", action="append", default=[], metavar="TABLE")
    parser.add_argument("--mover", default="cell_mover", metavar="ROLE")
    parser.add_argument("--epochs", type=Path, metavar="FILE")
    parser.add_argument("--cell", default="")
    parser.add_argument("--cells-path", type=Path, metavar="FOLDER")
    parser.add_argument("--apply", action="store_true")
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--new-password", action="store_true")
    given = parser.parse_args()
    logs.configure("adopting", "warning")
    try:
        order = Order(
            dsn=os.environ.get(DSN, ""),
            tenant_column=given.tenant_column,
            columns=dict(_pair(said) for said in given.column),
            left=given.leave,
            mover=given.mover,
            epochs={} if given.epochs is None else _epochs(given.epochs),
            cell_id=given.cell,
            cells_path=given.cells_path,
            apply=given.apply,
            remove=given.remove,
            force=given.force,
            new_password=given.new_password,
        )
        document = asyncio.run(run(order))
    except AdoptingError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(document) + "\n")
    return 0 if document["ready"] else 1


def _pair(said: str) -> tuple[str, str]:
    table, equals, column = said.partition("=")
    if not (table and equals and column):
        raise Usage(f"{said} is not TABLE=COLUMN")
    return table, column


def _epochs(path: Path) -> dict[str, int]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Usage(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(
        type(epoch) is int and 0 < epoch < 2**63 for epoch in found.values()
    ):
        raise Usage(f"{path} is not a JSON object of tenants and their epochs, which are above 0")
    return found


if __name__ == "__main__":
    sys.exit(main())
