"""What is told about a database: one JSON document, for people and for scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from migration.adopting.rules.deeds import Deeds
from migration.adopting.rules.findings import SHOWN, Finding, Standing
from migration.adopting.rules.found import Database, Seen
from migration.rules.names import quoted


def as_json(
    where: str,
    found: Database,
    seen: Seen,
    places: Mapping[str, Standing],
    said: Sequence[Finding],
    deeds: Deeds,
    tenants: Mapping[str, int],
    mover: str,
) -> dict[str, Any]:
    """Of an adoption; what was done is added by whoever did it."""
    return {
        "database": where,
        "postgres": found.version,
        "ready": not any(finding.obstacle for finding in said),
        "adopted": not deeds.install and not deeds.wanting and bool(found.adopted),
        "tables": [_table(found, seen, places, said, relation) for relation in found.tables],
        "findings": [
            {"about": one.about, "text": one.text, "mend": one.mend, "obstacle": one.obstacle} for one in said
        ],
        "tenants": {"count": len(tenants), "first": sorted(tenants)[:SHOWN]},
        "sql": script(deeds, tenants, mover),
        "done": [],
    }


def _table(
    found: Database, seen: Seen, places: Mapping[str, Standing], said: Sequence[Finding], relation: str
) -> dict[str, Any]:
    table, standing = found.tables[relation], places[relation]
    own = [finding for finding in said if finding.about == relation]
    if any(finding.obstacle for finding in own):
        state = "in the way"
    elif standing.place != "tenants":
        state = standing.place
    else:
        state = "adopted" if relation in found.adopted else "ready"
    return {
        "table": relation,
        "state": state,
        "tenant_column": standing.tenant,
        "tenants": len(seen.tenants[relation]) if relation in seen.tenants else None,
        "rows": table.rows,
        "bytes": table.bytes,
        "remarks": len(own),
    }


def script(deeds: Deeds, tenants: Mapping[str, int], mover: str) -> list[str]:
    """What would be run, as one would type it; upgrades and tenants in a line of their own."""
    become = [] if deeds.owner is None else [f"SET LOCAL ROLE {quoted(deeds.owner)}"]
    upgrades = "-- the upgrades of directory/fence/schema and migration/adopting/schema that are missing"
    said = ["BEGIN", *become, upgrades, _opening(tenants), "COMMIT"] if deeds.install else []
    if deeds.install:
        since = "-- and a fence row for whoever came since"
        said += ["BEGIN", deeds.lock, *become, *deeds.install, since, "COMMIT"]
    made = [f"CREATE ROLE {quoted(mover)} LOGIN PASSWORD '…'"] if deeds.password and deeds.wanting else []
    return [*said, "BEGIN", *made, *deeds.grants, "COMMIT"]


def _opening(tenants: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} at {epoch}" for name, epoch in sorted(tenants.items())[:SHOWN])
    more = f" and {len(tenants) - SHOWN} more" if len(tenants) > SHOWN else ""
    return f"-- fence rows, active: {shown or 'nobody is here yet'}{more}"
