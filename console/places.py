"""Where a tenant would be placed, as people see it: the scores with their terms, and who does not fit. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.moves import size_of

Document = Mapping[str, Any]


def draw(found: Document) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_head(found)]
    if found["chosen"] is not None:
        parts += [Text(), _scores([found["chosen"], *found["runners_up"]])]
    if found["misses"]:
        parts += [Text(), Text(_missed(found), "bold"), _misses(found["misses"])]
    return Group(*parts)


def taken(takes: Document) -> str:
    """What a tenant takes of its cell, as far as it takes anything."""
    told = [
        f"{takes['cpus']:.3g} CPUs",
        f"{size_of(takes['memory_bytes'])} of memory",
        f"{size_of(takes['storage_bytes'])} of storage",
        f"{takes['network_bits'] / 1e6:.3g} Mbit/s",
    ]
    if takes["revenue"]:
        told.append(f"a revenue of {takes['revenue']:,.10g}")
    if takes["top_tier"]:
        told.append("a place of the highest plan")
    return ", ".join(told)


def _head(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    chosen = found["chosen"]
    if chosen is None:
        grid.add_row("cell", Text("none can take it", "bold red"))
    else:
        grid.add_row("cell", Text(f"{chosen['cell_id']}, score {chosen['score']:.4f} of 1", "bold green"))
    grid.add_row("why", Text("\n".join(found["reasons"])))
    grid.add_row("takes", Text(f"about {taken(found['takes'])}"))
    return grid


def _scores(cells: Sequence[Document]) -> RenderableType:
    """A row for each term, a column for each cell: what of it comes to the score."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("TERM", no_wrap=True)
    grid.add_column("WEIGHT", justify="right")
    for number, cell in enumerate(cells):
        style = "green" if number == 0 else ""
        grid.add_column(cell["cell_id"], justify="right", overflow="fold", style=style)
    grid.add_column(f"IN {cells[0]['cell_id']}", overflow="fold")
    for terms in zip(*(cell["terms"] for cell in cells), strict=True):
        shares = [f"{term['share']:.2f}" for term in terms]
        grid.add_row(terms[0]["name"], f"{terms[0]['weight']:g}", *shares, Text(terms[0]["reason"]))
    total = sum(term["weight"] for term in cells[0]["terms"])
    scores = [Text(f"{cell['score']:.4f}", "bold") for cell in cells]
    grid.add_row(Text("score", "bold"), f"{total:g}", *scores, Text("the mean of the shares, by weight"))
    return grid


def _missed(found: Document) -> str:
    missing = found["cells"] - found["fitting"]
    rules = ", ".join(f"{count} by {rule}" for rule, count in found["broken"].items())
    shown = len(found["misses"])
    more = f"; the nearest {shown}" if shown < missing else ""
    return f"{missing} of {found['cells']} cells do not fit: {rules}{more}"


def _misses(misses: Sequence[Document]) -> RenderableType:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("CELL", "RULE", "WHY NOT"):
        grid.add_column(heading, overflow="fold")
    for each in misses:
        grid.add_row(each["cell_id"], each["rule"], Text(each["reason"]))
    return grid
