"""An orchestration as people see it: its steps as a tree, what is in the way, what is next. Pure; 100 columns do.

A step stands below the one that it waits for; where several wait for the same one, branches begin; where branches
come together again, the line goes on to the left.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

DASH = "–"
MARKS: Mapping[str | None, tuple[str, str]] = {
    None: ("·", "dim"),
    "STARTED": ("▸", "cyan"),
    "COMPLETED": ("✓", "green"),
    "FAILED": ("✗", "bold red"),
    "SKIPPED": ("»", "yellow"),
    "UNDOING": ("◂", "yellow"),
    "UNDONE": ("↺", "dim"),
    "STUCK": ("!", "bold red"),
}
"""Status → mark and style."""
Document = Mapping[str, Any]


class Line(NamedTuple):
    """A step and the branches before its name."""

    lead: str
    step: str


def tree(after: Mapping[str, Sequence[str]]) -> list[Line]:
    """The steps in the order in which they are drawn. `after`: what each waits for, declared before it."""
    followers: dict[str, list[str]] = {name: [] for name in after}
    for name, waits in after.items():
        for before in waits:
            followers[before].append(name)
    drawn: dict[str, Line] = {}

    def visit(name: str, lead: str, rest: str) -> None:
        drawn[name] = Line(lead, name)
        single = [each for each in followers[name] if len(after[each]) == 1]
        if single == followers[name] and len(single) == 1:
            visit(single[0], rest, rest)
        elif single:
            branch(single, rest)
            join(rest)

    def branch(names: Sequence[str], rest: str) -> None:
        for name in names:
            last = name == names[-1]
            visit(name, rest + ("└─" if last else "├─"), rest + ("  " if last else "│ "))

    def join(rest: str) -> None:
        while name := next(_ready(after, drawn), None):
            visit(name, rest, rest)

    roots = [name for name, waits in after.items() if not waits]
    if len(roots) == 1:
        visit(roots[0], "", "")
    else:
        branch(roots, "")
    join("")
    return list(drawn.values())


def _ready(after: Mapping[str, Sequence[str]], drawn: Mapping[str, Line]) -> Iterator[str]:
    """Steps at which branches come together, once all of them are drawn."""
    for name, waits in after.items():
        if len(waits) > 1 and name not in drawn and all(before in drawn for before in waits):
            yield name


def draw(found: Document, tenant: str) -> RenderableType:
    """The whole picture, with the commands that would help."""
    parts: list[RenderableType] = [_head(found), Text(), _steps(found)]
    failing = next((step for step in found["steps"] if step["step"] == found["failing_step"]), None)
    if failing is not None:
        parts += [Text(), _failing(failing)]
    parts += [Text(), _next(found, tenant)]
    return Group(*parts)


def _head(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    asked = ", a cancellation is asked for" if found["cancel_requested"] and found["end_time"] is None else ""
    ended = f", ended {moment(found['end_time'])}" if found["end_time"] else ""
    for name, value in (
        ("orchestration", f"{found['orchestration_id']} of {found['workflow']} {found['version']}"),
        ("about", found["target"]),
        ("state", Text(f"{found['state']}{asked}", state_style(found))),
        ("progress", f"{found['steps_done']} of {found['steps_total']} steps"),
        ("began", f"{moment(found['create_time'])}{ended}"),
        *([("why back", f"{_error(found['error'])}")] if found["error"] else []),
    ):
        grid.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return grid


def _steps(found: Document) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("STEP", overflow="fold", max_width=44)
    grid.add_column("STATUS", no_wrap=True)
    grid.add_column("BEGAN", no_wrap=True)
    grid.add_column("TOOK", justify="right", no_wrap=True)
    grid.add_column("TRIES", justify="right", no_wrap=True)
    grid.add_column("UNDO", justify="right", no_wrap=True)
    steps = {step["step"]: step for step in found["steps"]}
    lines = tree({name: step["after"] for name, step in steps.items()})
    for line in lines:
        step = steps[line.step]
        mark, style = MARKS.get(step["status"], ("?", ""))
        name = Text.assemble((line.lead, "dim"), (f"{mark} ", style), (line.step, _name_style(step, found)))
        if len(step["after"]) > 1:
            name.append(f" after {', '.join(step['after'])}", "dim")
        grid.add_row(
            name,
            Text((step["status"] or "not begun").lower(), style),
            Text(moment(step["begin_time"])[-8:] if step["begin_time"] else DASH),
            Text(_took(step)),
            Text(_tries(step["attempts"], step["most_attempts"])),
            Text(_tries(step["undo_attempts"], step["most_undo_attempts"])),
        )
    return grid


def _failing(step: Document) -> RenderableType:
    line = Text.assemble(("failing step  ", "bold"), (step["step"], "bold red"))
    if step["error"]:
        line.append(f": {_error(step['error'])}")
    return line


def _next(found: Document, tenant: str) -> RenderableType:
    needs_somebody = bool(found["stuck"])
    line = Text.assemble(
        ("next action   ", "bold"), (found["next_action"], "bold yellow" if needs_somebody else "")
    )
    possible = [(verb, step["step"]) for step in found["steps"] for verb in step["verbs"]]
    for number, (verb, step) in enumerate(possible):
        line.append("\n" + ("possible now  " if number == 0 else " " * 14), "bold")
        line.append(f"cellway orchestrations {verb} {tenant} {found['orchestration_id']} {step}")
    return line


def _name_style(step: Document, found: Document) -> str:
    return "bold red" if step["step"] == found["failing_step"] else "dim" if step["status"] is None else ""


def state_style(found: Document) -> str:
    """Of an orchestration's state."""
    if found["stuck"]:
        return "bold red"
    return {"SUCCEEDED": "green", "FAILED": "red", "CANCELLED": "yellow"}.get(found["operation_state"], "cyan")


def _error(error: Document) -> str:
    return f"{error.get('code', 'error')}: {error.get('message', '')}".rstrip(": ")


def _tries(done: int, most: int) -> str:
    if not done:
        return DASH
    return f"{done}/{most}" if most else str(done)


def _took(step: Document) -> str:
    if not (step["begin_time"] and step["end_time"]):
        return DASH
    return duration((_time(step["end_time"]) - _time(step["begin_time"])).total_seconds())


def duration(seconds: float) -> str:
    """`45ms`, `1.2s`, `3m 20s`, `2h 05m`, `3d 4h`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def moment(text: str | None) -> str:
    """`2026-01-02 03:04:05`, in UTC."""
    return text[:19].replace("T", " ") if text else DASH


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
