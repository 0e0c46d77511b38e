"""When the fleet is full, as people see it: a sentence for each pool that needs a cell, and a table. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.moves import size_of
from console.steps import DASH

Document = Mapping[str, Any]

BARS = "▁▂▃▄▅▆▇█"
BARS_WIDE = 14
"""Four days each, of eight weeks."""
MOST_SENTENCES = 3
NAMES = {"cpu": "CPU"}
STYLES = {"full": "bold red", "filling": "yellow"}
UNITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")


def draw(found: Document) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [Text(sentence) for sentence in sentences(found)]
    limited = [one for one in found["pools"] if one["outlook"] != "no_limit"]
    if limited:
        parts += [Text(), _table(limited)]
    if missing := _unlimited(found["pools"]):
        parts += [Text(), Text(missing)]
    return Group(*parts)


def sentences(found: Document) -> Iterator[str]:
    """What there is to do, the most urgent first; when there is nothing, why not."""
    pools = found["pools"]
    worst: dict[str, Document] = {}
    for one in pools:
        if one["open_by"] is not None:
            worst.setdefault(one["pool"], one)
    for one in list(worst.values())[:MOST_SENTENCES]:
        yield f"{_full(one)}: {_to_do(one, found['day'])}. {_capital(one['why'])}."
    if len(worst) > MOST_SENTENCES:
        yield f"{len(worst) - MOST_SENTENCES} more pools need a cell."
    if not worst:
        yield _nothing_to_do(pools)


def bars(history: Sequence[Document], limit: float | None) -> str:
    """Use over the last weeks, as a share of the limit."""
    used = [float(day["used"]) for day in history]
    every = -(-len(used) // BARS_WIDE) or 1
    shown = used[::-1][::every][::-1]
    most = max([limit or 0.0, *used], default=0.0)
    return "".join(BARS[round((len(BARS) - 1) * each / most) if most > 0 else 0] for each in shown)


def amount(resource: str, number: float) -> str:
    """In the resource's unit."""
    match resource:
        case "memory" | "storage":
            return f"-{size_of(-number)}" if number < 0 else size_of(number)
        case "network":
            return _bits(number)
        case "cpu":
            return f"{number:,.1f}"
        case _:
            return f"{number:,.0f}" if abs(number) >= 10 or number == int(number) else f"{number:,.1f}"


def _full(one: Document) -> str:
    of = f"{one['pool']} is full of {_name(one)}"
    if one["outlook"] == "full":
        return of
    latest = one["full_latest"] or "more than a year from now"
    return f"{of} on {one['full_on']} (between {one['full_earliest']} and {latest})"


def _to_do(one: Document, today: str) -> str:
    return "open a cell now" if one["open_by"] <= today else f"open a cell by {one['open_by']}"


def _nothing_to_do(pools: Sequence[Document]) -> str:
    if not pools:
        return "There is no open cell that could become full. Register one: cellway cells register --help"
    if all(one["outlook"] in ("too_little_known", "no_limit") for one in pools):
        return f"Nothing can be foretold yet: {pools[0]['why']}."
    soonest = next((one for one in pools if one["full_earliest"] is not None), None)
    if soonest is None:
        return "No pool will be full within a year."
    return (
        f"No pool is expected to be full within a year; {soonest['pool']} may be full of {_name(soonest)} on "
        f"{soonest['full_earliest']} at the earliest."
    )


def _unlimited(pools: Sequence[Document]) -> str:
    """What is left out of the table, and what to do about it."""
    of: dict[str, list[str]] = {}
    for one in pools:
        if one["outlook"] == "no_limit":
            of.setdefault(one["pool"], []).append(_name(one))
    told = "; ".join(f"{region} ({', '.join(names)})" for region, names in sorted(of.items()))
    return f"No limit is known in {told}: not every cell there says how much it holds." if told else ""


def _table(pools: Sequence[Document]) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("POOL", "RESOURCE"):
        grid.add_column(heading, overflow="fold")
    for heading in ("USED", "LIMIT", "SHARE", "A WEEK"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("8 WEEKS", no_wrap=True)
    for heading in ("FULL ON", "BETWEEN", "OPEN BY"):
        grid.add_column(heading)
    grid.add_column("CELLS", justify="right", no_wrap=True)
    for one in pools:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in _row(one)))
    return grid


def _row(one: Document) -> tuple[str | Text, ...]:
    resource, weekly, share = one["resource"], one["per_week"], one["share"]
    needed = one["cells_needed"]
    return (
        one["pool"],
        _name(one),
        amount(resource, one["used"]),
        DASH if one["limit"] is None else amount(resource, one["limit"]),
        DASH if share is None else f"{100 * share:.0f} %",
        DASH if weekly is None else f"{'+' if weekly > 0 else ''}{amount(resource, weekly)}",
        bars(one["history"], one["limit"]),
        Text(_outlook(one), STYLES.get(one["outlook"], "")),
        _between(one),
        str(one["open_by"] or DASH),
        DASH if needed is None else f"+{needed}" if needed else "0",
    )


def _outlook(one: Document) -> str:
    match one["outlook"]:
        case "filling":
            return str(one["full_on"])
        case "too_little_known":
            return f"too little known ({one['days_known']} {'day' if one['days_known'] == 1 else 'days'})"
        case outlook:
            return str(outlook).replace("_", " ")


def _between(one: Document) -> str:
    if one["outlook"] == "full" or one["full_earliest"] is None:
        return DASH
    return f"{one['full_earliest']} – {one['full_latest'] or 'later than a year'}"


def _name(one: Document) -> str:
    resource = str(one["resource"])
    return NAMES.get(resource, resource)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bits(number: float) -> str:
    step = 0
    while abs(number) >= 1000 and step < len(UNITS) - 1:
        number, step = number / 1000, step + 1
    return f"{number:.0f} {UNITS[step]}" if step == 0 else f"{number:.1f} {UNITS[step]}"
