"""A move as it would be, as people see it: what would be carried, how long it takes, what is in the way. Pure."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.moves import size_of
from console.steps import DASH, duration

Document = Mapping[str, Any]


def draw(found: Document) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_head(found)]
    if any(table["rows"] for table in found["tables"]):
        parts += [Text(), _tables(found)]
    return Group(*parts, Text(), *_verdict(found))


def _head(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("tenant", Text(f"{found['tenant_id']}, {found['source'] or DASH} → {found['destination']}"))
    grid.add_row("holds", Text(_held(found)))
    grid.add_row("time", Text(_time(found)))
    grid.add_row("pause", Text(_pause(found)))
    return grid


def _held(found: Document) -> str:
    if found["duration_seconds"] is None:
        return "nobody says"
    tables = found["tables"]
    filled = sum(bool(table["rows"]) for table in tables)
    about = "about " if found["estimated"] else ""
    return f"{about}{found['rows']:,} rows in {filled} of {len(tables)} tables, {about}{size_of(found['bytes'])}"


def _time(found: Document) -> str:
    if found["duration_seconds"] is None:
        return DASH
    return f"about {duration(found['duration_seconds'])} until it lives there, {_basis(found['measured_moves'])}"


def _pause(found: Document) -> str:
    if found["pause_p50_ms"] is None:
        return "no move was measured yet"
    return (
        f"writes wait about {found['pause_p50_ms']:.0f} ms, and seldom more than {found['pause_p99_ms']:.0f} ms, "
        f"{_basis(found['measured_pauses'])}"
    )


def _basis(moves: int) -> str:
    if not moves:
        return "by what is usual: no move was measured yet"
    return "as the last move measured" if moves == 1 else f"as the last {moves} moves measured"


def _tables(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("TABLE", overflow="fold")
    for heading in ("ROWS", "SIZE"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for table in sorted(found["tables"], key=lambda table: (-table["bytes"], table["relation"])):
        if table["rows"]:
            about = "~" if table["estimated"] else ""
            grid.add_row(Text(table["relation"]), f"{about}{table['rows']:,}", f"{about}{size_of(table['bytes'])}")
    return grid


def _verdict(found: Document) -> list[RenderableType]:
    if not found["obstacles"]:
        return [Text.assemble(("✓ ", "green"), "nothing is in the way; nothing was begun")]
    return [Text.assemble(("✗ ", "bold red"), obstacle) for obstacle in found["obstacles"]]
