"""One owner's next step with an orchestration: what it begins, what ends by itself, and when to look again. Pure.

An attempt is counted when it begins, so that one which takes its process along counts as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cell.rules.orchestration import STEPS, Event, Moves, Status, has_passed, moves, state
from cell.rules.workflows import Kind, Retry, Step, Workflow

Output = Mapping[str, Any]
UNDOING = Retry(attempts=3)
"""After so many vain attempts a person must look at it."""
MOST_DEATHS = 10
"""Of owners, one after the other, at the same step: by then it is the step that kills them."""
GIVEN_UP = {"code": "INTERNAL", "message": "it never came to an end"}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded of a step."""

    status: Status
    attempts: int = 0
    undo_attempts: int = 0
    waits_seconds: float | None = None
    """Until its next attempt, or until its time comes; 0.0 when that is over. None: it waits for no time."""
    output: Output | None = None
    error: Mapping[str, Any] | None = None
    deaths: int = 0
    """Of its attempts, those that nobody heard of again: their owner died."""

    def after(self, event: Event, **changes: Any) -> "Entry":
        """What it is once `event` has happened."""
        return replace(self, status=STEPS[self.status, event], **{"waits_seconds": None, **changes})


Seconds = Callable[[str, Mapping[str, Entry]], float | None]
"""How long a timer or a signal that begins now waits, from what the steps before it made."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an owner knows beside the steps. `under_way`: what it has begun itself and not ended."""

    cancelled: bool
    signals: Mapping[str, Output]
    under_way: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Turn:
    """What to record and do next. `wake_seconds`: when to look again, None for never, while nothing is begun."""

    changed: Mapping[str, Entry]
    begun: tuple[str, ...]
    state: str
    outcome: str | None
    wake_seconds: float | None
    error: Mapping[str, Any] | None
    """Why it goes back, if it does so from now on because a step failed."""
    steps_done: int


def turn(
    workflow: Workflow,
    steps: Mapping[str, Entry],
    facts: Facts,
    seconds: Seconds,
) -> Turn:
    """The next turn."""
    known, begun, error = dict(steps), set[str](), None
    while True:
        error = error or _failure(workflow, known)
        now = moves(workflow, _statuses(known), cancelled=facts.cancelled)
        if not _by_themselves(workflow, known, facts, now, seconds):
            break
    if not (now.undo and facts.under_way):  # what is under way ends before anything is undone
        for name in now.run:
            if name not in facts.under_way and _may_run(workflow.by_name[name], known.get(name)):
                known[name] = _running(known.get(name))
                begun.add(name)
        for name in now.undo:
            if _may_undo(known[name]):
                known[name] = _undoing(known[name])
                begun.add(name)
    waiting = [entry.waits_seconds for name, entry in known.items() if name in (*now.run, *now.undo)]
    timed = [wait for wait in waiting if wait is not None]
    return Turn(
        changed={name: entry for name, entry in known.items() if steps.get(name) != entry},
        begun=tuple(step.name for step in workflow.steps if step.name in begun),
        state=state(workflow, _statuses(known), cancelled=facts.cancelled),
        outcome=now.end,
        wake_seconds=min(timed, default=None),
        error=error,
        steps_done=sum(has_passed(step, _statuses(known)) for step in workflow.steps),
    )


def _failure(workflow: Workflow, known: Mapping[str, Entry]) -> Mapping[str, Any] | None:
    """Of the first step that was given up and that counts."""
    failures = (known[step.name] for step in workflow.steps if not step.best_effort and step.name in known)
    return next((entry.error or GIVEN_UP for entry in failures if entry.status is Status.FAILED), None)


def _by_themselves(
    workflow: Workflow,
    known: dict[str, Entry],
    facts: Facts,
    now: Moves,
    seconds: Seconds,
) -> bool:
    """Let happen what takes no action. Whether anything did, so that more may follow from it."""
    happened = False
    for name in now.run:
        step, entry = workflow.by_name[name], known.get(name)
        ended = None if name in facts.under_way else _ended(step, entry, facts)
        if ended is not None:
            known[name] = ended
        elif entry is None and step.kind is not Kind.ACTION:
            known[name] = Entry(Status.STARTED, attempts=1, waits_seconds=seconds(name, known))
        else:
            continue
        happened = True
    for name in () if facts.under_way else now.undo:
        entry = known[name]
        if not workflow.by_name[name].undoes:
            known[name] = entry.after(Event.UNDO).after(Event.UNDONE)
        elif entry.status is Status.UNDOING and _kills(entry):
            known[name] = entry.after(Event.GIVE_UP)
        else:
            continue
        happened = True
    return happened


def _ended(step: Step, entry: Entry | None, facts: Facts) -> Entry | None:
    """How a step that was begun before ends without an action; None when it does not."""
    if entry is None:
        return None
    over = entry.waits_seconds == 0.0
    if step.kind is Kind.SIGNAL and (over or step.name in facts.signals):
        return entry.after(Event.SUCCEED, output=facts.signals.get(step.name))
    if step.kind is Kind.TIMER and over:
        return entry.after(Event.SUCCEED)
    if step.kind is Kind.ACTION and _kills(entry):
        return entry.after(Event.FAIL, error=entry.error or GIVEN_UP)
    return None


def _died(entry: Entry) -> bool:
    """Whether an attempt was begun of which nothing is known. Whatever ended waits, if only for no time."""
    return entry.status in (Status.STARTED, Status.UNDOING) and entry.waits_seconds is None


def _kills(entry: Entry) -> bool:
    return _died(entry) and entry.deaths + 1 >= MOST_DEATHS


def _exhausted(attempts: int, deaths: int, retry: Retry) -> bool:
    """A death is no failure: it counts against the step only by itself."""
    return attempts - deaths >= retry.attempts


def _may_run(step: Step, entry: Entry | None) -> bool:
    """Whether its next attempt may begin now; timers and signals have none."""
    return step.kind is Kind.ACTION and (entry is None or not entry.waits_seconds)


def _may_undo(entry: Entry) -> bool:
    """Whether the next attempt to undo it may begin now. What it waited for on the way there does not matter."""
    return entry.status is not Status.UNDOING or not entry.waits_seconds


def _running(entry: Entry | None) -> Entry:
    if entry is None:
        return Entry(Status.STARTED, attempts=1)
    deaths = entry.deaths + 1 if _died(entry) else entry.deaths
    return entry.after(Event.BEGIN, attempts=entry.attempts + 1, deaths=deaths)


def _undoing(entry: Entry) -> Entry:
    """Also of what may never have happened: it is not tried any more, and a late original meets a tombstone."""
    if entry.status is not Status.UNDOING:
        return entry.after(Event.UNDO, undo_attempts=1, deaths=0)
    deaths = entry.deaths + 1 if _died(entry) else entry.deaths
    return entry.after(Event.UNDO, undo_attempts=entry.undo_attempts + 1, deaths=deaths)


def _statuses(known: Mapping[str, Entry]) -> dict[str, Status]:
    return {name: entry.status for name, entry in known.items()}


def failed(step: Step, entry: Entry, error: Mapping[str, Any], chance: float, *, hopeless: bool = False) -> Entry:
    """What becomes of a step whose attempt failed: another attempt later, or none. `chance` in [0, 1)."""
    if entry.status is Status.STARTED:
        if hopeless or _exhausted(entry.attempts, entry.deaths, step.retry):
            return entry.after(Event.FAIL, error=error)
        waits_seconds = step.retry.wait_seconds(entry.attempts, chance)
    else:
        if _exhausted(entry.undo_attempts, entry.deaths, UNDOING):
            return entry.after(Event.GIVE_UP, error=error)
        waits_seconds = UNDOING.wait_seconds(entry.undo_attempts, chance)
    return replace(entry, waits_seconds=waits_seconds, error=error)


def postponed(entry: Entry, error: Mapping[str, Any], waits_seconds: float) -> Entry:
    """What becomes of a step whose party is away: the attempt does not count."""
    if entry.status is Status.STARTED:
        return replace(entry, attempts=entry.attempts - 1, waits_seconds=waits_seconds, error=error)
    return replace(entry, undo_attempts=entry.undo_attempts - 1, waits_seconds=waits_seconds, error=error)
