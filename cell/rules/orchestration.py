"""What an orchestration does next. Pure: from what is recorded of its steps, and nothing else.

Forward, every step runs whose predecessors ended well; several at once where they do not wait for each other. Once
a step failed for good, or a cancellation was asked for, the way is back: what may have had an effect is undone, a
step only after all that followed it. What nobody can undo is *stuck*: it waits for an operator, while the others
are undone all the same (Garcia-Molina and Salem, "Sagas", 1987).

step    (none) ─ begin ─▶ STARTED ─ succeed ─▶ COMPLETED        STARTED ─ fail ─▶ FAILED
        STARTED, COMPLETED, FAILED ─ undo ─▶ UNDOING ─ undone ─▶ UNDONE     UNDOING ─ give up ─▶ STUCK
        by an operator:  FAILED, STARTED ─ skip ─▶ SKIPPED   FAILED, STARTED ─ retry ─▶ STARTED
                         STUCK ─ skip ─▶ UNDONE              STUCK, UNDOING ─ retry ─▶ UNDOING

Once a step that *commits* has ended well, there is only the way on: what fails then waits for an operator, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from cell.rules.workflows import Step, Workflow


class Status(Enum):
    """Of a step. One that has none yet has no row."""

    STARTED = "its action was or may be under way"
    COMPLETED = "it ended well"
    FAILED = "it was given up"
    SKIPPED = "an operator let it pass"
    UNDOING = "its compensation was or may be under way"
    UNDONE = "nothing of it is left"
    STUCK = "it could not be undone"


class Event(Enum):
    """What happens to a step."""

    BEGIN = "begin"
    SUCCEED = "succeed"
    FAIL = "fail"
    UNDO = "undo"
    UNDONE = "undone"
    GIVE_UP = "give up"
    RETRY = "retry"
    SKIP = "skip"


STEPS: Mapping[tuple[Status | None, Event], Status] = {
    (None, Event.BEGIN): Status.STARTED,
    (Status.STARTED, Event.BEGIN): Status.STARTED,  # another attempt
    (Status.STARTED, Event.SUCCEED): Status.COMPLETED,
    (Status.STARTED, Event.FAIL): Status.FAILED,
    (Status.STARTED, Event.UNDO): Status.UNDOING,
    (Status.COMPLETED, Event.UNDO): Status.UNDOING,
    (Status.FAILED, Event.UNDO): Status.UNDOING,
    (Status.UNDOING, Event.UNDO): Status.UNDOING,  # another attempt
    (Status.UNDOING, Event.UNDONE): Status.UNDONE,
    (Status.UNDOING, Event.GIVE_UP): Status.STUCK,
    (Status.STARTED, Event.SKIP): Status.SKIPPED,
    (Status.FAILED, Event.SKIP): Status.SKIPPED,
    (Status.STARTED, Event.RETRY): Status.STARTED,  # at once, instead of when its time comes
    (Status.FAILED, Event.RETRY): Status.STARTED,
    (Status.UNDOING, Event.RETRY): Status.UNDOING,  # at once
    (Status.STUCK, Event.RETRY): Status.UNDOING,
    (Status.STUCK, Event.SKIP): Status.UNDONE,
}
"""Status × event → status. What is not there is refused."""


class Direction(Enum):
    """Where an orchestration goes."""

    FORWARD = "on"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to be done now: steps to run or to undo, or the end."""

    run: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    """What waits for an operator, once nothing else is left to do."""
    end: str | None = None
    """COMPLETED or ROLLED_BACK."""


Steps = Mapping[str, Status]
PASSED = frozenset({Status.COMPLETED, Status.SKIPPED})
GOING_BACK = frozenset({Status.UNDOING, Status.UNDONE, Status.STUCK})
SETTLED = frozenset({Status.UNDONE, Status.STUCK, Status.SKIPPED})
COMPLETED, ROLLED_BACK, PENDING = "COMPLETED", "ROLLED_BACK", "PENDING"


def direction(workflow: Workflow, steps: Steps, *, cancelled: bool) -> Direction:
    """Once back, always back: what was undone is not done again. After a step that commits, always on."""
    if committed(workflow, steps):
        return Direction.FORWARD
    if any(status in GOING_BACK for status in steps.values()):
        return Direction.BACK
    if any(_failed(step, steps) for step in workflow.steps) or cancelled:
        return Direction.BACK
    return Direction.FORWARD


def committed(workflow: Workflow, steps: Steps) -> bool:
    """Whether there is no way back any more."""
    return any(step.commits and steps.get(step.name) is Status.COMPLETED for step in workflow.steps)


def moves(workflow: Workflow, steps: Steps, *, cancelled: bool) -> Moves:
    """What comes next. `cancelled`: somebody asked for it, before everything had ended well."""
    if all(has_passed(step, steps) for step in workflow.steps):
        return Moves(end=COMPLETED)  # a cancellation that comes too late changes nothing
    if direction(workflow, steps, cancelled=cancelled) is Direction.FORWARD:
        run = tuple(_ready(workflow, steps))
        failed = tuple(step.name for step in workflow.steps if _failed(step, steps))
        return Moves(run=run) if run or not failed else Moves(stuck=failed)
    undo = tuple(_undoable(workflow, steps))
    if undo:
        return Moves(undo=undo)
    stuck = tuple(name for name, status in steps.items() if status is Status.STUCK)
    return Moves(stuck=stuck) if stuck else Moves(end=ROLLED_BACK)


def has_passed(step: Step, steps: Steps) -> bool:
    """Whether those that wait for it may begin."""
    status = steps.get(step.name)
    return status in PASSED or (step.best_effort and status is Status.FAILED)


def _failed(step: Step, steps: Steps) -> bool:
    return not step.best_effort and steps.get(step.name) is Status.FAILED


def _ready(workflow: Workflow, steps: Steps) -> Iterator[str]:
    for step in workflow.steps:
        waits = workflow.waits[step.name]
        if steps.get(step.name) in (None, Status.STARTED) and all(
            has_passed(workflow.by_name[name], steps) for name in waits
        ):
            yield step.name


def _undoable(workflow: Workflow, steps: Steps) -> Iterator[str]:
    """The last ones first. Steps without a compensation pass at once, so they are among them too."""
    for step in reversed(workflow.steps):
        status = steps.get(step.name)
        if status is None or status in SETTLED:
            continue
        followers = workflow.followers[step.name]
        if all(steps.get(name) is None or steps[name] in SETTLED for name in followers):
            yield step.name


def state(workflow: Workflow, steps: Steps, *, cancelled: bool) -> str:
    """The orchestration's state, named by the step that matters: what an operator reads first."""
    now = moves(workflow, steps, cancelled=cancelled)
    if now.end is not None:
        return now.end
    if now.stuck:
        return f"{workflow.by_name[now.stuck[0]].state}_STUCK"
    if direction(workflow, steps, cancelled=cancelled) is Direction.BACK:
        failed = next((step for step in workflow.steps if _failed(step, steps)), None)
        undoing = next((name for name in now.undo if steps[name] is Status.UNDOING), None)
        if undoing is None and failed is not None:
            return f"{failed.state}_FAILED"
        return f"{workflow.by_name[undoing or now.undo[0]].state}_COMPENSATING"
    started = next((step for step in workflow.steps if steps.get(step.name) is Status.STARTED), None)
    if started is not None:
        return f"{started.state}_IN_PROGRESS"
    passed = [step for step in workflow.steps if has_passed(step, steps)]
    return f"{passed[-1].state}_COMPLETE" if passed else PENDING
