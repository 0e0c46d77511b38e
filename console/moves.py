"""A move as people see it: how far it is, what happened when, what was proved, what is next. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.steps import DASH, duration, moment

Document = Mapping[str, Any]

ENDED = ("DONE", "ABORTED", "REVERSED")
WAY = (
    "PLANNED", "PREPARED", "CAPTURING", "COPYING", "CATCHING_UP", "VERIFYING", "READY", "FENCING", "FINALIZING",
    "COMMITTED", "ACTIVATED", "DRAINING", "REVERSIBLE", "CLEANING", "DONE",
)  # fmt: skip
"""The straight one; what a move has yet to go through is shown by it."""
SHOWN_WAITS = 0.05
"""Of the time of a copy: from there on it is said that it waits for its source, and why."""
MOST_LINES = 60
"""Of what happened; the latest are shown."""


class Line(NamedTuple):
    """A phase that was gone through, or a wish; `seconds` until the next phase began."""

    phase: str
    time: str
    seconds: float | None
    text: str
    is_wish: bool


def progress(found: Document) -> str:
    """`45 %, 1,350 of 3,000 rows, 1.2 MB, 140,000 rows/s, 12s left, 3 changes behind`; as much as is known."""
    known = found["progress"]
    copied, total, speed = (_number(known.get(name)) for name in ("rows_copied", "rows_total", "rows_per_second"))
    parts = []
    if copied is not None:
        if total:
            parts += [f"{min(100, int(100 * copied / total))} %", f"{copied:,.0f} of {total:,.0f} rows"]
        else:
            parts.append(f"{copied:,.0f} rows")
    if (size := _number(known.get("bytes_copied"))) is not None:
        parts.append(size_of(size))
    if found["phase"] == "COPYING" and speed:
        parts.append(f"{speed:,.0f} rows/s")
        if copied is not None and total and total > copied:
            parts.append(f"{duration((total - copied) / speed)} left")
    if found["phase"] == "COPYING" and (waits := _number(known.get("throttled"))) and waits >= SHOWN_WAITS:
        parts.append(_spared(known, waits))
    if (lag := _number(known.get("lag_keys"))) is not None:
        parts.append(f"{lag:,.0f} changes behind")
    if (step := _number(known.get("step_ms"))) is not None:
        parts.append(f"a step takes {duration(step / 1000)}")
    return ", ".join(parts)


def _spared(known: Document, waits: float) -> str:
    now, usual = _number(known.get("commit_ms")), _number(known.get("usual_commit_ms"))
    why = f": commits there take {now:g} ms, usually {usual:g}" if now is not None and usual is not None else ""
    return f"waits {waits * 100:.0f} % of the time, to spare its source{why}"


def status(found: Document) -> str:
    """One line for whoever follows it."""
    told = progress(found)
    return f"{found['phase']}{' (paused)' if found['paused'] else ''}  {told or found['next_action']}".rstrip()


def lines(events: Sequence[Document]) -> list[Line]:
    """What happened, the oldest first."""
    led = [event["detail"].get("event") != "ask" for event in events]
    made = []
    for number, event in enumerate(events):
        later = next(
            (other for other, leads in zip(events[number + 1 :], led[number + 1 :], strict=True) if leads), None
        )
        seconds = None
        if led[number] and later is not None:
            seconds = (_time(later["time"]) - _time(event["time"])).total_seconds()
        text = event["text"] or event["detail"].get("error", "")
        made.append(Line(event["phase"], event["time"], seconds, text, not led[number]))
    return made


def draw(found: Document, events: Sequence[Document]) -> RenderableType:
    """The whole picture, with the commands that would help."""
    parts: list[RenderableType] = [_head(found), Text(), _phases(found, events)]
    if found["proof"]:
        parts += [Text(), _facts({"proof": _told(found["proof"])})]
    parts += [Text(), _next(found)]
    return Group(*parts)


def phase_style(found: Document) -> str:
    """Of a move's phase."""
    if found["error"]:
        return "bold red"
    if found["paused"]:
        return "yellow"
    return {"DONE": "green", "ABORTED": "yellow", "REVERSED": "yellow", "REVERSIBLE": "green"}.get(
        found["phase"], "cyan"
    )


def size_of(size: float) -> str:
    """`512 B`, `1.2 MB`: by thousands."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _head(found: Document) -> RenderableType:
    options = found["options"]
    paused = ", paused" if found["paused"] else ""
    facts: dict[str, Any] = {
        "move": found["move_id"],
        "tenant": f"{found['tenant_id']}, {found['source']} → {found['destination']}",
        "phase": Text(f"{found['phase']}{paused}", phase_style(found)),
        "progress": progress(found) or DASH,
        "mover": DASH if found["end_time"] else found["owner"] or "nobody just now",
        "began": f"{moment(found['create_time'])}{_ended(found)}",
        "pause": _pause(found),
        "way back": f"kept for {duration(options['reverse_seconds'])}",
    }
    if found["attempt"] > 1:
        facts["attempt"] = str(found["attempt"])
    for name in ("reverses", "reason"):
        if found[name]:
            facts[name] = found[name]
    if found["error"]:
        facts["error"] = Text(found["error"], "bold red")
    return _facts(facts)


def _pause(found: Document) -> str:
    options = found["options"]
    allowed = f"{options['pause_budget_ms']:g} ms expected, {options['most_pause_ms']:g} ms at most"
    if found["pause_ms"] is None:
        return f"none yet; allowed: {allowed}"
    return f"writes waited {found['pause_ms']:.1f} ms; allowed: {allowed}"


def _ended(found: Document) -> str:
    if not found["end_time"]:
        return ""
    took = (_time(found["end_time"]) - _time(found["create_time"])).total_seconds()
    return f", ended {moment(found['end_time'])} after {duration(took)}"


def _phases(found: Document, events: Sequence[Document]) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("PHASE", no_wrap=True)
    grid.add_column("BEGAN", no_wrap=True)
    grid.add_column("TOOK", justify="right", no_wrap=True)
    grid.add_column("", overflow="fold", max_width=56)
    happened = lines(events)
    if len(happened) > MOST_LINES:
        grid.add_row(Text(f"… {len(happened) - MOST_LINES} before", "dim"))
    current = max((number for number, line in enumerate(happened) if not line.is_wish), default=-1)
    for number, line in list(enumerate(happened))[-MOST_LINES:]:
        if line.is_wish:
            grid.add_row(Text("  ·", "dim"), Text(moment(line.time), "dim"), "", Text(line.text))
            continue
        mark, style = _mark(found, number == current)
        took = DASH if line.seconds is None else duration(line.seconds)
        grid.add_row(Text(f"{mark} {line.phase}", style), moment(line.time), took, Text(line.text))
    for phase in _ahead(found):
        grid.add_row(Text(f"· {phase}", "dim"), DASH, DASH, "")
    return grid


def _mark(found: Document, is_current: bool) -> tuple[str, str]:
    if not is_current or found["phase"] == "DONE":
        return "✓", "green"
    return ("↺", "yellow") if found["phase"] in ENDED else ("▸", phase_style(found))


def _ahead(found: Document) -> Sequence[str]:
    if found["phase"] not in WAY or found["wish"] == "cancel":
        return ()
    return WAY[WAY.index(found["phase"]) + 1 :]


def _next(found: Document) -> RenderableType:
    text = Text.assemble(("next action   ", "bold"), found["next_action"])
    if found["error"] and found["phase"] not in ENDED:
        text.append(
            "\n              mend what the error says; it is tried again by itself, and at once after resume"
        )
    for number, verb in enumerate(found["verbs"]):
        text.append("\n" + ("possible now  " if number == 0 else " " * 14), "bold")
        text.append(f"cellway moves {verb} {found['move_id']}")
    return text


def _facts(facts: Mapping[str, Any]) -> RenderableType:
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return grid


def _told(proof: Document) -> str:
    """What was compared, and what came of it; the sums of each table are for scripts."""
    rows = proof["rows"]
    filled = sum(bool(count) for count in rows.values())
    equal = "both ends were equal" if proof.get("equal") else "the ends were not equal"
    return (
        f"{equal} at the source's snapshot {proof.get('snapshot')}: {sum(rows.values()):,} rows in {filled} of "
        f"{len(rows)} tables, by count and sum of hashes, in {proof.get('seconds')} s\n(each table's: --json)"
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
