"""A plan as people see it: what it brings, what it costs, who moves and why, how far it is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.moves import size_of
from console.steps import DASH, duration, moment

Document = Mapping[str, Any]
STYLES = {
    "PROPOSED": "cyan", "APPROVED": "green", "PAUSED": "yellow", "STOPPING": "yellow", "STOPPED": "yellow",
    "DONE": "green", "EXPIRED": "dim", "FAILED": "bold red",
}  # fmt: skip
MOST_TENANTS = 4
"""Of a bundle that are named."""
MOST_GROUPS = 20
MOST_REMARKS = 10
HOT = 1.15
"""From there on a ratio is shown in red."""


@dataclass(slots=True)
class Bundle:
    """Moves out of one cell for the same reason."""

    source: str
    why: str
    tenants: list[str] = field(default_factory=list)
    destinations: dict[str, int] = field(default_factory=dict)
    bytes: float = 0.0


def grouped(moves: Sequence[Document]) -> list[Bundle]:
    """In the order of their first moves. What differs from tenant to tenant is left out of the reason."""
    found: dict[tuple[str, str], Bundle] = {}
    for move in moves:
        why = move["reason"].partition(",")[0].partition(";")[0]
        group = found.setdefault((move["source"], why), Bundle(move["source"], why))
        group.tenants.append(move["tenant_id"])
        group.destinations[move["destination"]] = group.destinations.get(move["destination"], 0) + 1
        group.bytes += move["bytes"]
    return list(found.values())


def draw(plan: Document, moves: Sequence[Document]) -> RenderableType:
    """The whole picture, with the commands that would help."""
    parts: list[RenderableType] = [_head(plan)]
    if plan["summary"]["balances"] or plan["summary"]["began"]:
        parts += [Text(), _balances(plan)]
    if moves:
        parts += [Text(), _groups(moves, plan["summary"]["moves"])]
    for told in (*plan["summary"]["homeless_why"][:MOST_REMARKS], *plan["summary"]["remarks"][:MOST_REMARKS]):
        parts.append(Text(f"! {told}", "yellow"))
    parts += [Text(), _next(plan)]
    return Group(*parts)


def status(plan: Document) -> str:
    """One line for whoever follows it."""
    left = plan["summary"]["moves"]
    told = f"{plan['state']}  wave {plan['wave']}, {plan['moved']:,} moved ({size_of(plan['moved_bytes'])})"
    if plan["failed"]:
        told += f", {plan['failed']:,} not"
    if plan["end_time"] is None and left:
        told += f"; {left:,} when the wave was planned"
    return told


def halted(plan: Document, under_way: Sequence[Document], left: Sequence[Document]) -> list[str]:
    """What goes on though a plan is paused or stopped, and what to do about it."""
    if plan["approve_time"] is None:
        return []
    told = ["No move of it is under way."]
    if under_way:
        then = f"; then the plan is STOPPED: cellway plan watch {plan['plan_id']}"
        what = "This move is under way, and goes" if len(under_way) == 1 else "These moves are under way, and go"
        told = [f"{what} on to the end{then if plan['state'] == 'STOPPING' else ''}."]
    told += [
        f"{move['move_id']} of {move['tenant_id']} was left to itself, and may arrive yet: let it, or say "
        f"cellway moves cancel {move['move_id']}"
        for move in left
    ]
    if under_way or left:
        told.append("Who has arrived stays there: cellway moves reverse takes one back.")
    return [*told, "Moves that were started by hand are not part of it, and go on."]


def drained(found: Document) -> str:
    """One line for whoever follows a drain."""
    parts = [f"{found['cell_id']} is {found['state']}", f"{_many(found['tenants_left'], 'tenant')} left"]
    if found["bytes_left"] and found["tenants_left"]:
        parts.append(f"{size_of(found['bytes_left'])} left")
    if found["tenants_an_hour"] and found["tenants_left"]:  # else it would change, with nothing going on
        parts.append(f"{found['tenants_an_hour']:,.0f} tenants and {size_of(found['bytes_an_hour'])} an hour")
    if found["seconds_left"]:
        parts.append(f"about {duration(found['seconds_left'])} left")
    if found["plan"] is not None and found["plan"]["state"] == "PAUSED":
        parts.append("paused")
    return ", ".join(parts)


def promised(plan: Document) -> str:
    """`6 moves in 2 waves, 1.2 GB, about 3m 10s`."""
    summary = plan["summary"]
    if not summary["moves"]:
        return "nobody is to be moved"
    basis = "as earlier moves took" if summary["measured_moves"] else "by what is usual: no move was measured yet"
    seconds = DASH if summary["seconds"] is None else f"about {duration(summary['seconds'])}, {basis}"
    told = f"{_many(summary['moves'], 'move')} in {_many(summary['waves'], 'wave')}"
    return f"{told}, {size_of(summary['bytes'])}, {seconds}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _head(plan: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    what = f"drain of {plan['cell_id']}" if plan["kind"] == "drain" else "balance"
    grid.add_row("plan", Text(f"{plan['plan_id']}, {what}"))
    by = f", approved by {plan['approved_by']}" if plan["approved_by"] else ""
    grid.add_row("state", Text(f"{plan['state']}{by}", STYLES[plan["state"]]))
    grid.add_row("made", Text(f"{moment(plan['create_time'])}{_until(plan)}"))
    grid.add_row("moves", Text(promised(plan)))
    if plan["approve_time"] is not None:
        grid.add_row("so far", Text(status(plan).partition("  ")[2]))
    if plan["summary"]["gap"] is not None and plan["summary"]["moves"]:
        grid.add_row("gap", Text(f"at most {plan['summary']['gap']:.1%} above the best that is possible"))
    if plan["error"]:
        grid.add_row("remark", Text(plan["error"], "bold red" if plan["state"] == "FAILED" else "yellow"))
    return grid


def _until(plan: Document) -> str:
    if plan["state"] == "PROPOSED":
        return f", can be approved until {moment(plan['expire_time'])}"
    return f", ended {moment(plan['end_time'])}" if plan["end_time"] else ""


def _balances(plan: Document) -> RenderableType:
    """The fullest cell's ratio, by resource: when the plan was made first, now, and afterwards."""
    began = {each["resource"]: each["before"] for each in plan["summary"]["began"]}
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("FULLEST CELL, × ITS SHARE", no_wrap=True)
    for heading in (*(("BEGAN",) if began else ()), "BEFORE", "AFTER", "IN USE"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for each in plan["summary"]["balances"]:
        use = DASH if each["use"] is None else f"{each['use']:.0%}"
        first = [_ratio(began.get(each["resource"]))] if began else []
        grid.add_row(Text(each["resource"]), *first, _ratio(each["before"]), _ratio(each["after"]), use)
    return grid


def _ratio(value: float | None) -> Text:
    return Text(DASH) if value is None else Text(f"{value:.2f}", "red" if value > HOT else "")


def _groups(moves: Sequence[Document], total: int) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("FROM", "TO", "TENANTS", "BYTES", "WHY"):
        grid.add_column(heading, overflow="fold", justify="right" if heading == "BYTES" else "left")
    groups = grouped(moves)
    for group in groups[:MOST_GROUPS]:
        names = ", ".join(group.tenants[:MOST_TENANTS])
        more = f" and {len(group.tenants) - MOST_TENANTS:,} more" if len(group.tenants) > MOST_TENANTS else ""
        to = ", ".join(f"{cell} ({count})" if count > 1 else cell for cell, count in group.destinations.items())
        grid.add_row(Text(group.source), Text(to), Text(names + more), size_of(group.bytes), Text(group.why))
    if len(groups) > MOST_GROUPS or len(moves) < total:
        grid.add_row("…", "", Text(f"in all {total:,} moves: cellway plan show --moves", "dim"), "", "")
    return grid


def _next(plan: Document) -> RenderableType:
    text = Text()
    for number, verb in enumerate(plan["verbs"]):
        text.append(("" if number == 0 else "\n") + ("possible now  " if number == 0 else " " * 14), "bold")
        text.append(f"cellway plan {verb} {plan['plan_id']}")
    return text
