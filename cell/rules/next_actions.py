"""What happens next with an orchestration, or who has to do something, in words for an operator. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from cell.rules.operating import Situation
from cell.rules.orchestration import Status, moves
from cell.rules.turns import UNDOING, Entry
from cell.rules.workflows import Kind, Workflow

OVERDUE_SECONDS = 30.0
"""A worker that is there takes less."""


def next_action(
    workflow: Workflow,
    steps: Mapping[str, Entry],
    situation: Situation,
    now: datetime,
    due: datetime | None,
) -> str:
    """One line. `due`: when somebody is to look at it; None: never by itself."""
    if situation.outcome is not None:
        return f"none: it has ended, {situation.outcome}"
    statuses = {name: entry.status for name, entry in steps.items()}
    following = moves(workflow, statuses, cancelled=situation.cancelled)
    if situation.held_seconds > 0:
        busy = [name for name, entry in steps.items() if _is_under_way(workflow, name, entry)]
        what = f" ({', '.join(busy)})" if busy else ""
        return f"being done by a worker{what}, whose lease ends at {_clock(now, now, situation.held_seconds)}"
    if following.stuck:
        return "stuck: retry or skip " + " and ".join(_stuck(name, steps[name]) for name in following.stuck)
    if due is not None and (now - due).total_seconds() > OVERDUE_SECONDS:
        return f"due since {_clock(now, due)}, and no worker took it: is one running that knows it?"
    waiting = [
        _waits(workflow, name, steps[name], now)
        for name in (*following.run, *following.undo)
        if name in steps and _is_waiting(workflow, name, steps[name])
    ]
    if waiting and (due is None or due > now):
        return "waits " + "; and ".join(waiting)
    return "a worker takes it next"


def unknown(workflow: str, version: int, outcome: str | None) -> str:
    """When this program does not have the workflow."""
    if outcome is not None:
        return f"none: it has ended, {outcome}"
    return f"waits for a worker that knows {workflow} version {version}"


def _is_under_way(workflow: Workflow, name: str, entry: Entry) -> bool:
    undoing = entry.status is Status.UNDOING
    acting = entry.status is Status.STARTED and workflow.by_name[name].kind is Kind.ACTION
    return (undoing or acting) and entry.waits_seconds is None


def _is_waiting(workflow: Workflow, name: str, entry: Entry) -> bool:
    signal = workflow.by_name[name].kind is Kind.SIGNAL and entry.status is Status.STARTED
    return signal or bool(entry.waits_seconds)


def _stuck(name: str, entry: Entry) -> str:
    """A compensation, or a step that failed although there is no way back."""
    return f"the compensation of `{name}`" if entry.status is Status.STUCK else f"`{name}`"


def _waits(workflow: Workflow, name: str, entry: Entry, now: datetime) -> str:
    step = workflow.by_name[name]
    until = "" if entry.waits_seconds is None else f"until {_clock(now, now, entry.waits_seconds)}"
    if entry.status is Status.UNDOING:
        return f"{until} for another attempt to undo `{name}` ({entry.undo_attempts + 1} of {UNDOING.attempts})"
    if step.kind is Kind.SIGNAL:
        return f"for the signal `{name}` {until}".rstrip()
    if step.kind is Kind.TIMER:
        return f"{until} for the timer `{name}`"
    return f"{until} for another attempt at `{name}` ({entry.attempts + 1} of {step.retry.attempts})"


def _clock(now: datetime, at: datetime, seconds: float = 0.0) -> str:
    """`03:14:07`, in UTC; with its date unless it is today's."""
    moment = at + timedelta(seconds=seconds)
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
