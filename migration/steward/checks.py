"""What must hold in an adopted database, examined on demand. A query's rows are what it found."""

from collections.abc import Mapping

from directory.control.contract import Check
from migration.steward.errors import transaction
from runtime.database import Pool
from runtime.queries import Queries

SQL = Queries("migration.steward", "sql/checks")
MOST_FINDINGS = 10
AGAIN = "run `cellway adopt … --apply` again"
TITLES: Mapping[str, tuple[str, str]] = {
    "triggers": ("every tenant table is guarded and captured", AGAIN),
    "left_out": ("no table with rows of tenants was left out", f"{AGAIN}, or with --leave if its rows stay"),
    "rights": ("movers may read and write every tenant table", AGAIN),
}
"""What is well when the query of that name finds nothing, and what to do otherwise."""


async def examine(pool: Pool) -> list[Check]:
    """All checks, in a fixed order. Unavailable."""
    checks = []
    async with transaction(pool) as connection:
        for name, (title, remedy) in TITLES.items():
            found = [row["finding"] for row in await connection.fetch(SQL[name])]
            detail = "; ".join(found[:MOST_FINDINGS])
            checks.append(Check(name=title, ok=not found, detail=detail, remedy=remedy if found else ""))
    return checks
