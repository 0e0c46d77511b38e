"""What an orchestration does next, by rule: judged by a machine that plays every part at random."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cell.rules.orchestration import (
    COMPLETED,
    PASSED,
    ROLLED_BACK,
    SETTLED,
    STEPS,
    Direction,
    Event,
    Moves,
    Status,
    direction,
    moves,
    state,
)
from cell.rules.workflows import Malformed, Step, Workflow

LINE = Workflow("line", 1, [Step("auth", undoes=True), Step("prov", undoes=True), Step("mail", best_effort=True)])
DIAMOND = Workflow(
    "diamond",
    1,
    [
        Step("first", undoes=True),
        Step("left", after=("first",), undoes=True),
        Step("right", after=("first",), undoes=True, best_effort=True),
        Step("last", after=("left", "right"), undoes=True),
    ],
)
S, E = Status, Event


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Up to six steps, each waiting for any of those before it."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    steps = []
    for place, name in enumerate(names):
        after = draw(st.none() | st.lists(st.sampled_from(names[:place]), unique=True)) if place else None
        waits = None if after is None else tuple(after)
        kind = draw(st.sampled_from([{}, {}, {"best_effort": True}, {"commits": True}]))
        steps.append(Step(name, after=waits, undoes=True, **kind))
    return Workflow("any", 1, steps)


class Played(RuleBasedStateMachine):
    """Workers, outside parties, a customer who cancels and an operator, in any order."""

    @initialize(workflow=workflows())
    def the_first_one_begins(self, workflow: Workflow) -> None:
        self.begin(workflow)

    def begin(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.steps: dict[str, Status] = {}
        self.cancelled = False

    @property
    def now(self) -> Moves:
        return moves(self.workflow, self.steps, cancelled=self.cancelled)

    def _happens(self, name: str, event: Event) -> None:
        self.steps[name] = STEPS[self.steps.get(name), event]

    @precondition(lambda self: self.now.run)
    @rule(data=st.data(), ends=st.sampled_from([None, E.SUCCEED, E.SUCCEED, E.FAIL]))
    def a_worker_goes_on(self, data: st.DataObject, ends: Event | None) -> None:
        name = data.draw(st.sampled_from(self.now.run))
        for before in self.workflow.waits[name]:
            let_pass = self.workflow.by_name[before].best_effort and self.steps[before] is S.FAILED
            assert self.steps[before] in PASSED or let_pass
        self._happens(name, E.BEGIN)
        if ends is not None:
            self._happens(name, ends)

    @precondition(lambda self: self.now.undo)
    @rule(data=st.data(), ends=st.sampled_from([None, E.UNDONE, E.UNDONE, E.GIVE_UP]))
    def a_worker_undoes(self, data: st.DataObject, ends: Event | None) -> None:
        name = data.draw(st.sampled_from(self.now.undo))
        followers = self.workflow.followers[name]
        assert all(self.steps.get(after) is None or self.steps[after] in SETTLED for after in followers)
        self._happens(name, E.UNDO)
        if ends is not None:
            self._happens(name, ends)

    @precondition(lambda self: self.now.end is None)
    @rule()
    def the_customer_cancels(self) -> None:
        self.cancelled = True

    @precondition(lambda self: self.now.end is not None)
    @rule(workflow=workflows())
    def another_one_begins(self, workflow: Workflow) -> None:
        self.begin(workflow)

    @precondition(lambda self: self.now.stuck)
    @rule(data=st.data(), event=st.sampled_from([E.RETRY, E.SKIP]))
    def an_operator_helps(self, data: st.DataObject, event: Event) -> None:
        self._happens(data.draw(st.sampled_from(self.now.stuck)), event)

    @precondition(lambda self: S.STARTED in self.steps.values())
    @rule(data=st.data())
    def an_operator_skips(self, data: st.DataObject) -> None:
        started = sorted(name for name, status in self.steps.items() if status is S.STARTED)
        self._happens(data.draw(st.sampled_from(started)), E.SKIP)

    @invariant()
    def there_is_always_one_kind_of_thing_to_do(self) -> None:
        found = [self.now.run, self.now.undo, self.now.stuck, self.now.end]
        assert len([each for each in found if each]) == 1

    @invariant()
    def the_way_back_is_never_left(self) -> None:
        back = direction(self.workflow, self.steps, cancelled=self.cancelled) is Direction.BACK
        undone = bool({S.UNDOING, S.UNDONE, S.STUCK} & set(self.steps.values()))
        assert back or not undone
        assert not (undone and self.now.run)

    @invariant()
    def what_is_committed_stays(self) -> None:
        if any(self.steps.get(step.name) is S.COMPLETED for step in self.workflow.steps if step.commits):
            assert not self.now.undo
            assert self.now.end != ROLLED_BACK

    @invariant()
    def an_end_is_clean(self) -> None:
        statuses = set(self.steps.values())
        if self.now.end == COMPLETED:
            assert set(self.steps) == set(self.workflow.by_name)
            assert not statuses & {S.STARTED, S.UNDOING, S.UNDONE, S.STUCK}
        if self.now.end == ROLLED_BACK:
            assert statuses <= {S.UNDONE, S.SKIPPED}

    @invariant()
    def what_is_shown_names_a_step_or_an_end(self) -> None:
        shown = state(self.workflow, self.steps, cancelled=self.cancelled)
        named = {step.state for step in self.workflow.steps}
        ends = {"PENDING", COMPLETED, ROLLED_BACK}
        assert shown in ends or any(shown.startswith(f"{name}_") for name in named)
        assert (shown in {COMPLETED, ROLLED_BACK}) == (self.now.end is not None)


TestPlayed = Played.TestCase


def ended(
    workflow: Workflow, steps: dict[str, Status], *, cancelled: bool = False, fails: str | None = None
) -> str:
    """How it ends when everybody does what is asked, but for the one step that `fails`; a step a turn."""
    for _ in range(4 * len(workflow.steps)):
        now = moves(workflow, steps, cancelled=cancelled)
        if now.end is not None:
            return now.end
        for name in now.run[:1]:
            begun = STEPS[steps.get(name), E.BEGIN]
            steps[name] = STEPS[begun, E.FAIL if name == fails else E.SUCCEED]
        for name in now.undo[:1]:
            steps[name] = STEPS[STEPS[steps[name], E.UNDO], E.UNDONE]
    return "for ever"


@pytest.mark.parametrize("workflow", [LINE, DIAMOND], ids=lambda workflow: workflow.name)
def test_it_ends_well_when_nothing_fails(workflow: Workflow) -> None:
    """In as many turns as it has steps."""
    steps: dict[str, Status] = {}
    assert ended(workflow, steps) == COMPLETED
    assert steps == dict.fromkeys(workflow.by_name, S.COMPLETED)


@pytest.mark.parametrize(
    ("workflow", "fails", "end", "left"),
    [
        (LINE, "auth", ROLLED_BACK, {"auth": S.UNDONE}),
        (LINE, "prov", ROLLED_BACK, {"auth": S.UNDONE, "prov": S.UNDONE}),
        (LINE, "mail", COMPLETED, {"auth": S.COMPLETED, "prov": S.COMPLETED, "mail": S.FAILED}),
        (DIAMOND, "last", ROLLED_BACK, dict.fromkeys(DIAMOND.by_name, S.UNDONE)),
    ],
)
def test_one_failure_undoes_all_but_for_best_effort(
    workflow: Workflow, fails: str, end: str, left: dict[str, Status]
) -> None:
    """What was given up may have had an effect, so it is undone too."""
    steps: dict[str, Status] = {}
    assert ended(workflow, steps, fails=fails) == end
    assert steps == left


@pytest.mark.parametrize("done", range(4))
def test_a_cancellation_undoes_what_was_done(done: int) -> None:
    """Before the first step there is nothing to undo; after the last one it comes too late."""
    steps = dict.fromkeys([step.name for step in LINE.steps][:done], S.COMPLETED)
    assert ended(LINE, steps, cancelled=True) == (COMPLETED if done == len(LINE.steps) else ROLLED_BACK)


def test_after_a_step_that_commits_there_is_only_the_way_on() -> None:
    """A cancellation changes nothing any more, and what fails waits for an operator."""
    line = Workflow("line", 1, [Step("hold", undoes=True), Step("close", commits=True), Step("delete")])
    steps = {"hold": S.COMPLETED, "close": S.STARTED}
    assert moves(line, steps, cancelled=True) == Moves(undo=("close",))
    steps["close"] = S.COMPLETED
    assert moves(line, steps, cancelled=True) == Moves(run=("delete",))
    steps["delete"] = S.FAILED
    assert moves(line, steps, cancelled=True) == Moves(stuck=("delete",))
    assert state(line, steps, cancelled=True) == "DELETE_STUCK"


def test_branches_run_at_once_and_are_undone_before_their_root() -> None:
    """Both sides of a diamond."""
    assert moves(DIAMOND, {"first": S.COMPLETED}, cancelled=False) == Moves(run=("left", "right"))
    back = {"first": S.COMPLETED, "left": S.FAILED, "right": S.COMPLETED}
    assert moves(DIAMOND, back, cancelled=False) == Moves(undo=("right", "left"))
    assert moves(DIAMOND, {**back, "left": S.UNDONE}, cancelled=False) == Moves(undo=("right",))


def test_what_cannot_be_undone_keeps_nothing_else_from_being_undone() -> None:
    """Then it waits for an operator."""
    steps = {"first": S.COMPLETED, "left": S.STUCK, "right": S.COMPLETED}
    assert moves(DIAMOND, steps, cancelled=False) == Moves(undo=("right",))
    steps["right"] = S.UNDONE
    assert moves(DIAMOND, steps, cancelled=False) == Moves(undo=("first",))
    steps["first"] = S.UNDONE
    assert moves(DIAMOND, steps, cancelled=False) == Moves(stuck=("left",))


@pytest.mark.parametrize(
    ("steps", "cancelled", "shown"),
    [
        ({}, False, "PENDING"),
        ({"auth": S.STARTED}, False, "AUTH_IN_PROGRESS"),
        ({"auth": S.COMPLETED}, False, "AUTH_COMPLETE"),
        ({"auth": S.COMPLETED, "prov": S.STARTED}, False, "PROV_IN_PROGRESS"),
        ({"auth": S.COMPLETED, "prov": S.FAILED}, False, "PROV_FAILED"),
        ({"auth": S.COMPLETED, "prov": S.UNDOING}, False, "PROV_COMPENSATING"),
        ({"auth": S.UNDOING, "prov": S.UNDONE}, False, "AUTH_COMPENSATING"),
        ({"auth": S.UNDONE, "prov": S.UNDONE}, False, "ROLLED_BACK"),
        ({"auth": S.UNDONE, "prov": S.STUCK}, False, "PROV_STUCK"),
        ({"auth": S.COMPLETED}, True, "AUTH_COMPENSATING"),
        ({}, True, "ROLLED_BACK"),
        ({"auth": S.COMPLETED, "prov": S.SKIPPED, "mail": S.FAILED}, False, "COMPLETED"),
    ],
)
def test_states_are_named_by_the_step_that_matters(steps: dict[str, Status], cancelled: bool, shown: str) -> None:
    """What an operator reads first."""
    assert state(LINE, steps, cancelled=cancelled) == shown


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [Step("a"), Step("a")],
        [Step("A")],
        [Step("a", after=("b",)), Step("b", after=())],
        [Step("a", after=("a",))],
        [Step("a", commits=True, best_effort=True)],
    ],
    ids=["none", "two of a name", "no name", "one that comes later", "itself", "decisive and passed over"],
)
def test_a_workflow_that_could_never_end_is_refused(steps: list[Step]) -> None:
    """Where it is declared, not where it runs."""
    with pytest.raises(Malformed):
        Workflow("w", 1, steps)
