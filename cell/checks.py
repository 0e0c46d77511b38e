"""What must hold in a cell's database and Redis, examined on demand: for `cellway doctor`, and for the tests.

Each check on the database is a query in `sql/checks/` whose rows are what it found; no row: the invariant holds.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from cell.database import transaction
from cell.errors import Unavailable
from directory.control.contract import Check
from runtime.database import Connection, Pool
from runtime.queries import Queries

SQL = Queries("cell", "sql/checks")
MOST_FINDINGS = 10

REMEDIES: Mapping[str, str] = {
    "row_security": "ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "policies": "restore the policy of the schema's file",
    "guard": "create the trigger of directory/fence/guard_table.sql on that table",
    "keys": "put tenant_id into the key",
    "shared_tables": "give the table a tenant_id, or list it as shared with the reason",
    "views": "ALTER VIEW … SET (security_invoker = true)",
    "roles": "take the right away from that role: programs need none of it",
    "functions": "SET search_path = pg_catalog, pg_temp on the function, and REVOKE EXECUTE … FROM PUBLIC",
    "grants": "REVOKE the privilege",
}
TITLES: Mapping[str, str] = {
    "row_security": "row security is forced on every tenant table",
    "policies": "policies show a tenant its own rows only",
    "guard": "the fence guards every tenant table",
    "keys": "every key holds the tenant",
    "shared_tables": "no table without a tenant holds a tenant's data",
    "views": "views look with their caller's rights",
    "roles": "roles have the least privilege",
    "functions": "functions cannot be led astray",
    "grants": "nothing is granted that is not needed",
}
Probe = Callable[[], Awaitable[str | None]]
"""Returns what it found, None when all is well."""


async def findings(connection: Connection, name: str) -> Sequence[str]:
    """What one check on the database found; `name` is a key of `REMEDIES`."""
    return [row["finding"] for row in await connection.fetch(SQL[name])]


class Checks:
    """All checks of one cell. `probes` are those beside the database: title → what looks, and the remedy."""

    def __init__(self, pool: Pool, probes: Mapping[str, tuple[Probe, str]]) -> None:
        self._pool, self._probes = pool, probes

    async def all(self) -> list[Check]:
        """Every check, in a fixed order. Unavailable when the database is away."""
        async with transaction(self._pool) as connection:
            found = {name: await findings(connection, name) for name in REMEDIES}
        stored = [
            _check(TITLES[name], "; ".join(lines[:MOST_FINDINGS]), REMEDIES[name]) for name, lines in found.items()
        ]
        return stored + [await self._probed(name) for name in self._probes]

    async def _probed(self, name: str) -> Check:
        probe, remedy = self._probes[name]
        try:
            return _check(name, await probe() or "", remedy)
        except (Unavailable, OSError) as error:
            return _check(name, str(error), remedy)


def _check(name: str, finding: str, remedy: str) -> Check:
    return Check(name=name, ok=not finding, detail=finding, remedy=remedy if finding else "")
