"""Tables for people, JSON for scripts."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDE = 250
"""Columns when the output goes into a file or a pipe: nothing is cut off there."""


def as_json(value: Any) -> None:
    """Indented, one document."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Columns under headings; those named in `right` are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        # What comes from outside is text, never markup.
        grid.add_row(*(cell if isinstance(cell, Text) else Text(_shown(cell)) for cell in row))
    draw(grid)


def facts(pairs: Mapping[str, Any]) -> None:
    """One thing: a line for each of its facts."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        grid.add_row(name, value if isinstance(value, Text) else Text(_shown(value)))
    draw(grid)


def line(text: str = "") -> None:
    """One line, as it is."""
    sys.stdout.write(text + "\n")


def remark(text: str) -> None:
    """A line beside the answer, on stderr, where it is in no script's way."""
    sys.stderr.write(f"cellway: {text}\n")


def mark(ok: bool) -> Any:
    """A green ✓ or a red ✗."""
    from rich.text import Text

    return Text("✓", "green") if ok else Text("✗", "bold red")


def coloured(text: str, style: str) -> Any:
    """Coloured where colours are shown."""
    from rich.text import Text

    return Text(text, style)


def draw(what: Any) -> None:
    """Anything that rich can draw; where nobody watches, as wide as it likes."""
    from rich.console import Console

    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDE)
    out.print(what)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value) or "–"
    return str(value)
