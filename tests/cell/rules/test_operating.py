"""What an operator may do, and what happens next, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from cell.errors import NotAllowed
from cell.rules.next_actions import next_action
from cell.rules.operating import Situation, Verb, changes, failing, possible
from cell.rules.orchestration import Status
from cell.rules.turns import Entry
from cell.rules.workflows import Kind, Step, Workflow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FREE = Situation(cancelled=False, outcome=None)
TWO = Workflow("two", 1, [Step("a", after=(), undoes=True), Step("b", after=(), undoes=True)])
LINE = Workflow("line", 1, [Step("note", best_effort=True), Step("a", undoes=True), Step("paid", Kind.SIGNAL)])
ERROR = {"code": "INTERNAL", "message": "x"}
FAILED = Entry(Status.FAILED, attempts=5, error=ERROR)
WAITING = Entry(Status.STARTED, attempts=2, waits_seconds=62.0, error=ERROR)
DONE = Entry(Status.COMPLETED, attempts=1)
STUCK = Entry(Status.STUCK, attempts=1, undo_attempts=3, error=ERROR)


def test_steps_that_failed_together_are_tried_again_together() -> None:
    """One alone would go back because of the other."""
    steps = {"a": FAILED, "b": FAILED}
    with pytest.raises(NotAllowed, match="retry a: b failed as well: name no step"):
        changes(TWO, steps, FREE, "retry", "a")
    again = changes(TWO, steps, FREE, "retry", None)
    assert {name: (entry.status, entry.attempts) for name, entry in again.items()} == dict.fromkeys(
        "ab", (Status.STARTED, 0)
    )


def test_one_step_is_let_pass_at_a_time() -> None:
    """Whoever skips says what."""
    with pytest.raises(NotAllowed, match="skip: say which step: a, b; possible: retry a, skip a, retry b, skip b"):
        changes(TWO, {"a": WAITING, "b": WAITING}, FREE, "skip", None)
    assert set(changes(TWO, {"a": DONE, "b": WAITING}, FREE, "skip", None)) == {"b"}


def test_all_stuck_steps_are_tried_again_at_once() -> None:
    """With all their attempts; the errors stay until they are undone."""
    again = changes(TWO, {"a": STUCK, "b": STUCK}, FREE, "retry", None)
    assert {entry.status for entry in again.values()} == {Status.UNDOING}
    assert {(entry.undo_attempts, entry.error == ERROR) for entry in again.values()} == {(0, True)}


@pytest.mark.parametrize(
    ("steps", "situation", "verb", "step", "reason"),
    [
        ({}, FREE, "retry", "a", "it has not begun"),
        ({}, FREE, "retry", None, "no step waits for it"),
        ({"a": DONE}, FREE, "skip", "a", "it is COMPLETED"),
        ({"a": FAILED, "b": STUCK}, FREE, "retry", "a", "too late"),
        ({"a": WAITING}, Situation(cancelled=True, outcome=None), "retry", "a", "too late"),
        ({"a": WAITING}, Situation(False, None, held_seconds=2.1), "skip", "a", "try again in 3 s"),
        ({"a": FAILED}, Situation(False, "ROLLED_BACK"), "retry", None, "it has ended: ROLLED_BACK"),
        ({"a": FAILED}, Situation(False, "ROLLED_BACK"), "retry", "a", "it has ended: ROLLED_BACK"),
    ],
)
def test_what_is_not_possible_is_refused_with_its_reason(
    steps: dict[str, Entry], situation: Situation, verb: Verb, step: str | None, reason: str
) -> None:
    """And with what would be possible."""
    with pytest.raises(NotAllowed, match=reason):
        changes(TWO, steps, situation, verb, step)


def test_a_step_that_did_not_have_to_succeed_is_not_tried_again_behind_what_followed_it() -> None:
    """What follows has gone on without it."""
    begun = {"note": FAILED, "a": WAITING}
    assert possible(LINE, begun, FREE, "note") == ("skip",)
    assert possible(LINE, {"note": FAILED}, FREE, "note") == ("retry", "skip")
    assert failing(LINE, begun) == "a"


def test_what_was_said_before_changes_nothing() -> None:
    """Nor does what a worker is doing just now."""
    assert not changes(TWO, {"a": Entry(Status.SKIPPED)}, FREE, "skip", "a")
    assert not changes(TWO, {"a": Entry(Status.UNDONE)}, FREE, "skip", "a")
    held = Situation(False, None, held_seconds=9.0)
    assert not changes(TWO, {"a": Entry(Status.STARTED, attempts=1)}, held, "retry", "a")


@pytest.mark.parametrize(
    ("workflow", "steps", "situation", "due_seconds", "said"),
    [
        (TWO, {}, FREE, 0.0, "a worker takes it next"),
        (TWO, {"a": DONE}, Situation(False, "COMPLETED"), None, "none: it has ended, COMPLETED"),
        (TWO, {"a": STUCK}, FREE, None, "stuck: retry or skip the compensation of `a`"),
        (
            TWO,
            {"a": STUCK, "b": STUCK},
            FREE,
            None,
            "stuck: retry or skip the compensation of `a` and the compensation of `b`",
        ),
        (TWO, {"a": WAITING, "b": DONE}, FREE, 62.0, "waits until 03:05:07 for another attempt at `a` (3 of 5)"),
        (TWO, {"a": WAITING, "b": DONE}, FREE, -31.0, "due since 03:03:34, and no worker took it"),
        (
            LINE,
            {"note": DONE, "a": DONE, "paid": Entry(Status.STARTED, 1, waits_seconds=90_000.0)},
            FREE,
            90_000.0,
            "waits for the signal `paid` until 2026-01-03 04:04:05",
        ),
        (
            TWO,
            {"a": Entry(Status.UNDOING, 1, undo_attempts=1, waits_seconds=1.0), "b": FAILED},
            Situation(False, None, held_seconds=30.0),
            30.0,
            "being done by a worker, whose lease ends at 03:04:35",
        ),
    ],
)
def test_what_happens_next_is_one_line(
    workflow: Workflow, steps: dict[str, Entry], situation: Situation, due_seconds: float | None, said: str
) -> None:
    """Times in UTC, with their date unless it is today's."""
    due = None if due_seconds is None else NOW + timedelta(seconds=due_seconds)
    assert next_action(workflow, steps, situation, NOW, due).startswith(said)
