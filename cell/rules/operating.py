"""What an operator may do about the steps of an orchestration. Pure.

*Retry* has a step tried again, at once and with all its attempts; *skip* lets it pass, and leaves what it may have
done. Once back, always back: what was undone is not done again, so going on is possible only as long as nothing is
being undone, or after a step that commits. A step that somebody is at is nobody else's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cell.errors import NotAllowed
from cell.rules.orchestration import GOING_BACK, STEPS, Event, Status, committed
from cell.rules.turns import GIVEN_UP, Entry
from cell.rules.workflows import Kind, Workflow

Verb = Literal["retry", "skip"]
VERBS: tuple[Verb, ...] = get_args(Verb)
EVENTS: Mapping[Verb, Event] = {"retry": Event.RETRY, "skip": Event.SKIP}
Entries = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Situation:
    """What counts beside the steps. `held_seconds`: until the lease of a worker that is at it ends."""

    cancelled: bool
    outcome: str | None
    held_seconds: float = 0.0


def changes(
    workflow: Workflow, steps: Entries, situation: Situation, verb: Verb, step: str | None
) -> Mapping[str, Entry]:
    """What becomes of `step`, or of whatever needs it; nothing when it is so already. NotAllowed says what stands
    in the way, and what would be possible."""
    if step is None and situation.outcome is not None:
        raise NotAllowed(f"{verb}: it has ended: {situation.outcome}")
    names = _needing(workflow, steps, situation, verb) if step is None else (step,)
    changed = {}
    for name in names:
        if _is_so_already(verb, steps.get(name), situation):
            continue
        obstacle = _obstacle(workflow, steps, situation, verb, name, among=names)
        if obstacle is not None:
            raise NotAllowed(f"{verb} {name}: {obstacle}; possible: {_possible(workflow, steps, situation)}")
        changed[name] = _after(verb, steps[name])
    return changed


def possible(workflow: Workflow, steps: Entries, situation: Situation, name: str) -> tuple[Verb, ...]:
    """What may be done about a step now."""
    return tuple(
        verb for verb in VERBS if _obstacle(workflow, steps, situation, verb, name, among=(name,)) is None
    )


def failing(workflow: Workflow, steps: Entries) -> str | None:
    """The step that is in the way, if any: a stuck one, a failed one that counts, one that fails now and then."""

    def first(*statuses: Status) -> str | None:
        return next(
            (
                step.name
                for step in workflow.steps
                if (entry := steps.get(step.name)) is not None
                and entry.status in statuses
                and (entry.error is not None or entry.status is Status.STUCK)
                and not (step.best_effort and entry.status is Status.FAILED)
            ),
            None,
        )

    return first(Status.STUCK) or first(Status.FAILED) or first(Status.STARTED, Status.UNDOING)


def _needing(workflow: Workflow, steps: Entries, situation: Situation, verb: Verb) -> tuple[str, ...]:
    """The steps that are meant when none is named: all that wait for a retry, or the only one to be skipped."""
    given_up = {Status.STUCK, Status.FAILED}
    names = tuple(
        step.name
        for step in workflow.steps
        if (entry := steps.get(step.name)) is not None
        and (entry.status in given_up or entry.waits_seconds is not None)
        and (entry.status in given_up or step.kind is Kind.ACTION)
        and not (step.best_effort and entry.status is Status.FAILED)
    )
    if any(steps[name].status is Status.STUCK for name in names):
        names = tuple(name for name in names if steps[name].status in (Status.STUCK, Status.UNDOING))
    if not names or (verb == "skip" and len(names) > 1):
        asked = f"say which step: {', '.join(names)}" if names else "no step waits for it"
        raise NotAllowed(f"{verb}: {asked}; possible: {_possible(workflow, steps, situation)}")
    return names


def _is_so_already(verb: Verb, entry: Entry | None, situation: Situation) -> bool:
    """Said before, or overtaken: to say it again changes nothing."""
    if entry is None:
        return False
    if verb == "skip":
        return entry.status in (Status.SKIPPED, Status.UNDONE)
    under_way = entry.status in (Status.STARTED, Status.UNDOING) and entry.waits_seconds is None
    return under_way and situation.held_seconds > 0 and situation.outcome is None


def _obstacle(
    workflow: Workflow, steps: Entries, situation: Situation, verb: Verb, name: str, *, among: tuple[str, ...]
) -> str | None:
    """Why not; None when nothing is in the way. `among`: the steps that are meant together."""
    entry = steps.get(name)
    if situation.outcome is not None:
        return f"it has ended: {situation.outcome}"
    if entry is None:
        return "it has not begun"
    if (entry.status, EVENTS[verb]) not in STEPS:
        return f"it is {entry.status.name}"
    if situation.held_seconds > 0:
        return f"a worker is at it: try again in {math.ceil(situation.held_seconds)} s"
    if entry.status in GOING_BACK:
        return None
    on = _is_committed(workflow, steps)
    if not on and (situation.cancelled or any(other.status in GOING_BACK for other in steps.values())):
        return "too late, everything goes back already"
    if verb == "retry":
        return _cannot_retry(workflow, steps, name, entry, among)
    return None


def _cannot_retry(
    workflow: Workflow, steps: Entries, name: str, entry: Entry, among: tuple[str, ...]
) -> str | None:
    if workflow.by_name[name].kind is not Kind.ACTION:
        return "it only waits, there is nothing to try"
    if any(follower in steps for follower in workflow.followers[name]):
        return "too late, what follows it has begun"
    if _is_committed(workflow, steps):
        return None  # what else failed does not make it go back
    others = [
        step.name
        for step in workflow.steps
        if not step.best_effort
        and step.name not in among
        and (other := steps.get(step.name)) is not None
        and other.status is Status.FAILED
    ]
    return f"{others[0]} failed as well: name no step, and all are tried again" if others else None


def _is_committed(workflow: Workflow, steps: Entries) -> bool:
    return committed(workflow, {name: entry.status for name, entry in steps.items()})


def _possible(workflow: Workflow, steps: Entries, situation: Situation) -> str:
    found = [
        f"{verb} {step.name}"
        for step in workflow.steps
        for verb in possible(workflow, steps, situation, step.name)
    ]
    return ", ".join(found) or "nothing"


def _after(verb: Verb, entry: Entry) -> Entry:
    if verb == "skip":
        return entry.after(Event.SKIP)
    # The error stays: whoever tries again knows by it that there was an attempt, and asks what became of that.
    error = entry.error or GIVEN_UP
    if entry.status in GOING_BACK:
        return entry.after(Event.RETRY, undo_attempts=0, error=error)
    return entry.after(Event.RETRY, attempts=0, error=error)
