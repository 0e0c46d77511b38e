"""Cells as people see them: what they hold, how they are, what their recovery needs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.amounts import said
from console.steps import DASH, moment

Document = Mapping[str, Any]

HEALTH_STYLES = {"well": "green", "doubtful": "yellow", "down": "bold red"}
UNITS = {"cpus": "", "memory_bytes": "B", "storage_bytes": "B", "network_bits": "bit"}
NAMES = {"cpus": "CPUs", "memory_bytes": "memory", "storage_bytes": "storage", "network_bits": "network a second"}
MOST_MOVES = 40
"""Shown to people; --json has all."""


def health(found: Document) -> Text:
    """One word; nothing for a cell of which nobody expects anything."""
    if found["state"] in ("joining", "retired"):
        return Text(DASH)
    verdict = found["health"]["verdict"]
    return Text(verdict, HEALTH_STYLES[verdict])


def facts(found: Document) -> dict[str, Any]:
    """All about one cell."""
    places = found["capacity_tenants"]
    use = f" ({found['tenants'] / places:.0%})" if places else ""
    known = {NAMES[name]: said(found["capacity"][name], unit) for name, unit in UNITS.items()}
    holds = ", ".join(f"{name} {told}" for name, told in known.items() if told != DASH)
    caps = found["caps"]
    capped = [
        *([] if caps["revenue"] is None else [f"revenue {said(caps['revenue'])} a month"]),
        *([] if caps["top_tier"] is None else [f"{caps['top_tier']:,} tenants of the highest plan"]),
    ]
    return {
        "cell": found["cell_id"],
        "region": found["region"],
        "state": found["state"],
        "health": _health(found["health"]),
        "tenants": f"{found['tenants']:,} of {places:,}{use}",
        "capacity": holds or "not known: as much as comes",
        "caps": ", ".join(capped) or "none",
        "dedicated to": found["dedicated_to"] or "nobody: everybody else lives there",
        "tags": found["tags"],
        "version": found["version"] or None,
        "address": found["address"],
        "control address": found["control_address"],
    }


def _health(told: Document) -> Text:
    text = Text(told["verdict"], HEALTH_STYLES[told["verdict"]])
    return text.append(f": {told['reasons']}", "default") if told["reasons"] else text


def recovery(found: Document) -> RenderableType:
    """What it takes to bring a cell back."""
    told = found["health"]
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("cell", found["cell_id"])
    grid.add_row("state", found["state"])
    grid.add_row("health", _health(told))
    grid.add_row("answered", _since(told["answered_time"]))
    grid.add_row("registry saw", _since(told["seen_time"]))
    grid.add_row("tenants", Text(_tenants(found)))
    grid.add_row("lost if not", Text(found["lost"]))
    parts: list[RenderableType] = [grid]
    if found["moves"]:
        parts += [Text(), _moves(found)]
    if found["steps"]:
        parts += [Text(), Text("To bring it back", "bold")]
        parts += [Text(f"{number}. {step}") for number, step in enumerate(found["steps"], 1)]
    return Group(*parts)


def _since(time: str | None) -> str:
    return f"{moment(time)}" if time else "not since this placement began"


def _tenants(found: Document) -> str:
    named: Sequence[str] = found["first_tenants"]
    more = found["tenants"] - len(named)
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{found['tenants']:,}: {', '.join(named)}{rest}" if named else f"{found['tenants']:,}"


def _moves(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("MOVE", "PHASE", "WHAT BECOMES OF IT"):
        grid.add_column(heading, overflow="fold")
    for move in found["moves"][:MOST_MOVES]:
        text = Text(move["text"])
        for command in move["commands"]:
            text.append(f"\n{command}")
        grid.add_row(move["move_id"], move["phase"], text)
    more = len(found["moves"]) - MOST_MOVES
    if more > 0 or found["more_moves"]:
        grid.add_row("…", "", f"and {max(more, 0)}{' or more' if found['more_moves'] else ''} others: --json")
    return grid
