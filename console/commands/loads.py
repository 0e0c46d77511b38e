"""`cellway tenants load` and `cellway cells load`."""

from typing import Annotated, Any

import typer

from console import output
from console.amounts import said
from console.calls import quoted
from console.commands.options import HERE, Json, Root, Tenant, placement
from console.errors import EXIT_CODES

UNITS = {"cpus": "", "memory_bytes": "B", "storage_bytes": "B", "network_bits": "bit", "tenants": ""}
NAMES = {
    "cpus": "CPUs",
    "memory_bytes": "memory",
    "storage_bytes": "storage",
    "network_bits": "network a second",
    "tenants": "tenants",
}
LATELY = {
    "requests": ("requests a second", ""),
    "open_transactions": ("open transactions", ""),
    "database_bits": ("database a second", "bit"),
    "running_work": ("running work", ""),
}
"""What no cell has a capacity for; an older placement does not tell all of it."""
_EXPECTED = {"cpu": "", "memory": "B", "storage": "B", "network": "bit"}
COLUMNS = ("CELL", "RESOURCE", "USED", "CAPACITY", "SHARE", "KNOWN OF")


def add_to_tenants(app: typer.Typer) -> None:
    """`load` among the commands about tenants."""
    app.command("load", epilog=EXIT_CODES)(tenant)


def add_to_cells(app: typer.Typer) -> None:
    """`load` among the commands about cells."""
    app.command("load", epilog=EXIT_CODES)(cells)


def tenant(tenant: Tenant, root: Root = HERE, json: Json = False) -> None:
    """Show what a tenant took lately, and what placement reckons with."""
    with placement(root) as service:
        found = service.call("GET", f"/v1/tenants/{quoted(tenant)}/load")
    if json:
        output.as_json(found)
        return
    output.facts(
        {
            "tenant": found["tenant_id"],
            "cell": found["cell_id"],
            "measured": found["measure_time"] or "never: its plan is all there is",
            **{NAMES[each]: said(_short(found[each]), unit) for each, unit in UNITS.items() if each in found},
            **{told: said(_short(found[each]), unit) for each, (told, unit) in LATELY.items() if each in found},
            "a move carries": said(found["move_bytes"], "B"),
            "parts of the week known": f"{found['parts_known']} of 42",
        }
    )
    output.line()
    output.line("Reckoned with (UTC):")
    output.facts(
        {each["what"]: said(_short(each["amount"]), _EXPECTED[each["what"].split()[0]])
         for each in found["expected"]}
    )  # fmt: skip


def cells(
    cell: Annotated[str | None, typer.Argument(help="Otherwise all of them.", metavar="[CELL]")] = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Show what the tenants of cells took lately, beside what the cells can hold."""
    with placement(root) as service:
        names = [cell] if cell else [each["cell_id"] for each in service.listed("/v1/cells", "cells", 10_000)]
        found = [service.call("GET", f"/v1/cells/{quoted(each)}/load") for each in names]
    if json:
        output.as_json(found[0] if cell else found)
    elif found:
        output.table(COLUMNS, [row for each in found for row in _rows(each)], right=COLUMNS[2:])
    else:
        output.line("No cells. Register one: cellway cells register --help")


def _rows(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            found["cell_id"],
            NAMES[use["resource"]],
            said(_short(use["used"]), UNITS[use["resource"]]),
            said(use["capacity"], UNITS[use["resource"]]),
            None if use["share"] is None else f"{use['share']:.0%}",
            f"{use['known_tenants']:,} of {found['tenants']:,}",
        )
        for use in found["resources"]
    ] + [
        (
            *(found["cell_id"], told, said(_short(found[each]), unit), None, None),
            f"{0 if found[each] is None else found['measured_tenants']:,} of {found['tenants']:,}",
        )
        for each, (told, unit) in LATELY.items()
        if each in found
    ]


def _short(number: float | None) -> float | None:
    """More figures than that were not measured."""
    return None if number is None else float(f"{number:.3g}")
