"""An operator sees what is in the way, and helps; never against a worker that is at it."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from cell.access import enter_at
from cell.database import transaction
from cell.errors import NotAllowed
from cell.orchestrator import operating
from cell.orchestrator.actions import Action, After, Call, Here, There, Told
from cell.orchestrator.operating import Seen, Wanted
from cell.orchestrator.registry import Bound, Registry
from cell.rules.operating import Verb
from cell.rules.workflows import Kind, Retry, Step, Workflow
from runtime.database import Connection
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage
from tests.waiting import eventually

DAY = 86_400.0


def bound(*steps: tuple[Step, Action], cancellable: bool = True, name: str = "made_up") -> Bound:
    """A workflow of these."""
    workflow = Workflow(name, 1, [step for step, _ in steps], cancellable)
    return Bound(workflow, {step.name: action for step, action in steps})


def at(ledger: Ledger, name: str, **more: Any) -> tuple[Step, Action]:
    """A step at the ledger's that can be undone."""
    return Step(name, undoes=True, **more), There(ledger)


class Operator:
    """Somebody who looks at a stage's tenant and helps."""

    def __init__(self, stage: Stage, *known: Bound) -> None:
        self._stage, self._registry = stage, Registry(known)

    async def list_(self, **wanted: Any) -> list[str]:
        """Their names."""
        async with self._entered() as connection:
            found = await operating.listed(connection, self._registry, Wanted(**{"limit": 10, **wanted}))
        return [seen.row["orchestration_id"] for seen in found]

    async def see(self, name: str) -> Seen:
        """One that is there."""
        async with self._entered() as connection:
            return _there(await operating.seen(connection, self._registry, name))

    async def says(self, verb: Verb, name: str, step: str | None = None) -> Seen:
        """What it is then."""
        async with self._entered() as connection:
            return _there(await operating.operate(connection, self._registry, name, verb, step))

    async def cancels(self, name: str) -> Seen:
        """What it is then."""
        async with self._entered() as connection:
            return _there(await operating.cancel(connection, self._registry, name))

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[Connection]:
        async with transaction(self._stage.pool) as connection:
            await enter_at(connection, self._stage.tenant_id, self._stage.epoch)
            yield connection


def _there(seen: Seen | None) -> Seen:
    assert seen is not None
    return seen


def error_of(seen: Seen) -> Any:
    """What the customer is told."""
    return None if seen.row["error"] is None else json.loads(seen.row["error"])


async def stuck(stage: Stage, ledger: Ledger) -> tuple[str, Bound]:
    """One whose first step cannot be undone."""
    broken = Ledger()
    broken.failures = 99
    ledger.undo_failures = 3
    made = bound(at(ledger, "account"), at(broken, "mail", retry=Retry(attempts=1)))
    name = await stage.begin(made)
    seen = await stage.finish(name, made)
    assert (seen.state, seen.steps["account"]) == ("ACCOUNT_STUCK", "STUCK")
    return name, made


async def test_a_stuck_step_is_undone_when_an_operator_has_it_tried_again(stage: Stage, ledger: Ledger) -> None:
    """With all its attempts; nothing is left then, and the customer still reads why it went back."""
    name, made = await stuck(stage, ledger)
    operator = Operator(stage, made)
    seen = await operator.see(name)
    assert (seen.stuck, seen.failing, seen.cancellable) == (["account"], "account", False)
    assert seen.next_action == "stuck: retry or skip the compensation of `account`"
    assert [step.verbs for step in seen.steps] == [("retry", "skip"), ()]
    again = await operator.says("retry", name)
    assert (again.row["state"], again.stuck, again.next_action) == (
        *("ACCOUNT_COMPENSATING", []),
        "a worker takes it next",
    )
    ended = await stage.run(name, made)
    assert (ended.outcome, ended.steps) == ("ROLLED_BACK", {"account": "UNDONE", "mail": "UNDONE"})
    assert ledger.effects == ["account", "-account"]
    assert error_of(await operator.see(name))["code"] == "INTERNAL"


async def test_a_stuck_step_fails_three_more_times_before_it_is_stuck_again(stage: Stage, ledger: Ledger) -> None:
    """An operator's retry is not given up at once."""
    name, made = await stuck(stage, ledger)
    ledger.undo_failures = 2
    await Operator(stage, made).says("retry", name, "account")
    assert (await stage.finish(name, made)).outcome == "ROLLED_BACK"


async def test_a_stuck_step_that_is_skipped_counts_as_undone(stage: Stage, ledger: Ledger) -> None:
    """What it did stays: the operator has seen to it."""
    name, made = await stuck(stage, ledger)
    seen = await Operator(stage, made).says("skip", name)
    assert (seen.stuck, seen.row["outcome"], seen.row["operation_state"]) == ([], None, "RUNNING")
    assert (await stage.run(name, made)).outcome == "ROLLED_BACK"
    assert ledger.effects == ["account"]
    with_nothing_left = await Operator(stage, made).says("skip", name, "account")
    assert with_nothing_left.next_action == "none: it has ended, ROLLED_BACK"
    with pytest.raises(NotAllowed, match="has ended: ROLLED_BACK"):
        await Operator(stage, made).says("retry", name, "mail")


async def test_a_step_that_waits_for_its_next_attempt_has_it_now_and_with_all_its_attempts(
    stage: Stage, ledger: Ledger
) -> None:
    """And the party is asked what became of the attempts before."""
    ledger.failures = 3
    made = bound(at(ledger, "one", retry=Retry(attempts=2)))
    name = await stage.begin(made)
    await stage.run(name, made)
    operator = Operator(stage, made)
    seen = await operator.see(name)
    assert "for another attempt at `one` (2 of 2)" in seen.next_action
    assert seen.next_action.startswith("waits until ")
    await operator.says("retry", name)
    assert (await stage.run(name, made)).attempts["one"] == 1
    await operator.says("retry", name, "one")
    await stage.run(name, made)
    assert ledger.asked == ["one", "one"]
    assert (await stage.finish(name, made)).outcome == "COMPLETED"


async def test_a_step_that_waits_can_be_let_pass(stage: Stage, ledger: Ledger) -> None:
    """What follows goes on without it; if it all goes back later, nothing of it is undone."""
    other = Ledger()
    other.failures = 99
    made = bound(at(other, "mail"), at(ledger, "account"))
    name = await stage.begin(made)
    await stage.run(name, made)
    seen = await Operator(stage, made).says("skip", name)
    assert (seen.row["steps_done"], seen.steps[0].entry and seen.steps[0].entry.status.name) == (1, "SKIPPED")
    ended = await stage.run(name, made)
    assert (ended.outcome, ended.steps) == ("COMPLETED", {"mail": "SKIPPED", "account": "COMPLETED"})


async def test_a_timer_and_a_signal_can_be_let_pass_and_not_tried(stage: Stage) -> None:
    """There is nothing to try; their time is told."""
    made = bound(
        (Step("trial", Kind.TIMER), After(lambda _: DAY)),
        (Step("paid", Kind.SIGNAL), Told(None)),
    )
    name = await stage.begin(made)
    await stage.run(name, made)
    operator = Operator(stage, made)
    assert "for the timer `trial`" in (await operator.see(name)).next_action
    with pytest.raises(NotAllowed, match=r"only waits.*possible: skip trial"):
        await operator.says("retry", name, "trial")
    await operator.says("skip", name, "trial")
    await stage.run(name, made)
    assert (await operator.see(name)).next_action == "waits for the signal `paid`"
    await operator.says("skip", name, "paid")
    assert (await stage.run(name, made)).outcome == "COMPLETED"


async def test_a_failed_step_goes_on_again_as_long_as_nothing_was_undone(stage: Stage, ledger: Ledger) -> None:
    """Its worker died before the way back began; from then on the customer reads of no error."""
    ledger.failures = 1
    made = bound(at(ledger, "one", retry=Retry(attempts=1), after=()), at(Ledger(), "two", after=()))
    name = await stage.begin(made)
    two = made.actions["two"]
    assert isinstance(two, There)
    assert isinstance(two.party, Ledger)
    two.party.hold = asyncio.Event()
    running = asyncio.create_task(stage.run(name, made))
    await _failed(stage, name)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    operator = Operator(stage, made)
    with pytest.raises(
        NotAllowed, match=r"retry one: a worker is at it: try again in [0-9]+ s; possible: nothing"
    ):
        await operator.says("retry", name, "one")
    await stage.time_passes(name)
    before = await operator.see(name)
    assert (before.failing, error_of(before)["code"]) == ("one", "INTERNAL")
    seen = await operator.says("retry", name, "one")
    assert (seen.row["state"], error_of(seen)) == ("ONE_IN_PROGRESS", None)
    two.party.hold.set()
    assert (await stage.finish(name, made)).outcome == "COMPLETED"


async def _failed(stage: Stage, name: str) -> None:
    async def failed() -> bool:
        return (await stage.seen(name)).steps.get("one") == "FAILED"

    await eventually(failed)


async def test_a_failed_step_cannot_go_on_once_the_way_back_began(stage: Stage, ledger: Ledger) -> None:
    """What was undone is not done again; the refusal says what is possible instead."""
    broken = Ledger()
    broken.failures, ledger.undo_failures = 99, 1
    made = bound(at(ledger, "account"), at(broken, "mail", retry=Retry(attempts=1), best_effort=False))
    name = await stage.begin(made)
    seen = await stage.run(name, made)
    assert (seen.steps, seen.wakes) == ({"account": "UNDOING", "mail": "UNDONE"}, True)
    operator = Operator(stage, made)
    assert "for another attempt to undo `account` (2 of 3)" in (await operator.see(name)).next_action
    with pytest.raises(NotAllowed, match="retry mail: it is UNDONE; possible: retry account"):
        await operator.says("retry", name, "mail")
    with pytest.raises(NotAllowed, match="skip account: it is UNDOING; possible: retry account"):
        await operator.says("skip", name, "account")
    await operator.says("retry", name)
    assert (await stage.run(name, made)).outcome == "ROLLED_BACK"


async def test_nobody_interferes_with_a_worker_that_is_at_it(stage: Stage, ledger: Ledger) -> None:
    """Skipping is refused with the time that is left; a retry is what happens anyway; a cancellation is kept."""
    ledger.hold = asyncio.Event()
    made = bound(at(ledger, "one"), (Step("paid", Kind.SIGNAL), Told(None)))
    name = await stage.begin(made)
    running = asyncio.create_task(stage.run(name, made))
    await asyncio.wait_for(ledger.arrived.wait(), 30)
    operator = Operator(stage, made)
    seen = await operator.see(name)
    assert seen.next_action.startswith("being done by a worker (one), whose lease ends at ")
    assert seen.leased_until is not None
    with pytest.raises(NotAllowed, match="a worker is at it"):
        await operator.says("skip", name, "one")
    assert (await operator.says("retry", name, "one")).row["fencing"] == seen.row["fencing"]
    for _ in range(2):
        cancelled = await operator.cancels(name)
        assert (cancelled.row["cancel_requested"], cancelled.cancellable) == (True, False)
    ledger.hold.set()
    await running
    assert (await stage.finish(name, made)).outcome == "ROLLED_BACK"
    assert ledger.effects == ["one", "-one"]


async def test_a_worker_that_was_away_too_long_writes_nothing_after_an_operator_has_spoken(
    stage: Stage, ledger: Ledger
) -> None:
    """Its lease ran out while it was at a step; the operator lets the step pass; then it comes back."""
    ledger.hold = asyncio.Event()
    other = Ledger()
    made = bound(at(ledger, "one"), at(other, "two"))
    name = await stage.begin(made)
    running = asyncio.create_task(stage.run(name, made))
    await asyncio.wait_for(ledger.arrived.wait(), 30)
    await stage.time_passes(name)
    await Operator(stage, made).says("skip", name, "one")
    ledger.hold.set()
    seen = await running
    assert (seen.steps, seen.outcome) == ({"one": "SKIPPED"}, None)
    assert (await stage.finish(name, made)).steps == {"one": "SKIPPED", "two": "COMPLETED"}


async def test_an_effect_here_is_rolled_back_with_the_lost_lease(stage: Stage) -> None:
    """The operator's word and the late worker's effect never both stay."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def act(connection: Connection, call: Call) -> Mapping[str, Any]:
        await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('made', 'x')")
        arrived.set()
        await go_on.wait()
        return {}

    made = bound((Step("account"), Here(act)))
    name = await stage.begin(made)
    running = asyncio.create_task(stage.run(name, made))
    await asyncio.wait_for(arrived.wait(), 30)
    await stage.time_passes(name)
    await Operator(stage, made).says("skip", name, "account")
    go_on.set()
    assert (await running).steps == {"account": "SKIPPED"}
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        assert await connection.fetchval("SELECT count(*) FROM cell.accounts") == 0


async def test_what_cannot_be_cancelled_is_not(stage: Stage, ledger: Ledger) -> None:
    """By nobody; and what has ended neither."""
    kept = bound(at(ledger, "one"), cancellable=False, name="kept")
    made = bound(at(ledger, "one"))
    operator = Operator(stage, kept, made)
    with pytest.raises(NotAllowed, match="kept cannot be cancelled"):
        await operator.cancels(await stage.begin(kept))
    ended = await stage.begin(made)
    await stage.run(ended, made)
    with pytest.raises(NotAllowed, match="it has ended: COMPLETED"):
        await operator.cancels(ended)


async def test_lists_are_of_a_state_of_a_workflow_or_of_what_is_stuck(stage: Stage, ledger: Ledger) -> None:
    """Newest first, page by page."""
    first, made = await stuck(stage, ledger)
    others = [await stage.begin(made) for _ in range(3)]
    operator = Operator(stage, made)
    assert await operator.list_() == [*reversed(others), first]
    assert await operator.list_(stuck=True) == [first]
    assert await operator.list_(state="PENDING") == others[::-1]
    assert await operator.list_(state="RUNNING", workflow="made_up") == [first]
    assert await operator.list_(workflow="other") == []
    second = await operator.see(others[1])
    before = (second.row["created_at"], others[1])
    assert await operator.list_(before=before, limit=1) == [others[0]]


async def test_a_workflow_of_another_version_is_shown_as_it_is_recorded(stage: Stage, ledger: Ledger) -> None:
    """During an upgrade there are both; nothing can be said about it here."""
    name, _ = await stuck(stage, ledger)
    stranger = Operator(stage)
    seen = await stranger.see(name)
    assert [step.name for step in seen.steps] == ["account", "mail"]
    assert (seen.stuck, seen.next_action) == (["account"], "waits for a worker that knows made_up version 1")
    with pytest.raises(NotAllowed, match="made_up version 1 is of another version"):
        await stranger.says("retry", name)


@pytest.mark.parametrize(("verb", "status"), [("retry", "COMPLETED"), ("skip", "SKIPPED")])
async def test_what_fails_when_there_is_no_way_back_goes_on_by_an_operators_word(
    stage: Stage, ledger: Ledger, verb: Verb, status: str
) -> None:
    """Also when somebody asked for the way back in time to be refused; it is found among the stuck ones."""
    broken = Ledger()
    broken.failures = 1
    last = at(broken, "mail", retry=Retry(attempts=1))
    made = bound(at(ledger, "paid", commits=True), last)
    name = await stage.begin(made)
    assert (await stage.run(name, made)).state == "MAIL_STUCK"
    operator = Operator(stage, made)
    assert await operator.list_(stuck=True) == [name]
    seen = await operator.see(name)
    assert (seen.stuck, seen.failing, seen.cancellable) == (["mail"], "mail", False)
    assert seen.next_action == "stuck: retry or skip `mail`"
    with pytest.raises(NotAllowed, match="cannot be cancelled any more"):
        await operator.cancels(name)
    said = await operator.says(verb, name)
    assert error_of(said) is None
    ended = await stage.run(name, made)
    assert (ended.outcome, ended.steps) == ("COMPLETED", {"paid": "COMPLETED", "mail": status})


async def test_what_an_operator_said_is_in_the_audit_log(stage: Stage, ledger: Ledger) -> None:
    """Once, and only what changed something."""
    name, made = await stuck(stage, ledger)
    for _ in range(2):
        await Operator(stage, made).says("skip", name, "account")
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        rows = await connection.fetch("SELECT actor, action, target, before, after FROM cell.audit_entries")
    assert [tuple(row) for row in rows] == [
        ("operator", "skipStep", f"operations/{name}", '{"account": "STUCK"}', '{"account": "UNDONE"}')
    ]


async def test_what_nobody_takes_is_told(stage: Stage, ledger: Ledger) -> None:
    """So that one looks at the workers, and not at the orchestration."""
    made = bound(at(ledger, "one"))
    name = await stage.begin(made)
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        await connection.execute(
            "UPDATE cell.orchestrations SET wake_at = $2 WHERE orchestration_id = $1",
            *(name, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        )
    assert (await Operator(stage, made).see(name)).next_action.startswith("due since 2020-01-02 03:04:05, and no")


class Slow(Ledger):
    """Others have their turn before each of its effects."""

    async def act(self, call: Call) -> Mapping[str, Any]:
        await asyncio.sleep(0.002)
        return await super().act(call)

    async def undo(self, call: Call) -> None:
        await asyncio.sleep(0.002)
        await super().undo(call)


@pytest.mark.parametrize("seed", range(8))
async def test_however_operators_and_workers_meet_every_effect_stays_once_or_not_at_all(
    stage: Stage, seed: int
) -> None:
    """Two workers, an operator who says anything at any time, leases that run out, a party that fails."""
    chance, ledger = random.Random(seed), Slow()  # noqa: S311 nothing secret
    made = bound(
        at(ledger, "a"), *(at(ledger, name, after=("a",)) for name in "bc"), at(ledger, "d", after=("b", "c"))
    )
    name, operator = await stage.begin(made), Operator(stage, made)
    ended = asyncio.Event()

    async def work() -> None:
        while not ended.is_set():
            ledger.failures, ledger.undo_failures = chance.choice((0, 1, 2)), chance.choice((0, 1, 2))
            seen = await stage.run(name, made)
            if seen.outcome is not None:
                ended.set()
            await stage.time_passes(name)

    async def interfere() -> None:
        while not ended.is_set():
            verb: Verb = chance.choice(("retry", "retry", "skip"))
            with contextlib.suppress(NotAllowed):
                await operator.says(verb, name, chance.choice((None, "a", "b", "c", "d")))
            if chance.random() < 0.02:
                with contextlib.suppress(NotAllowed):
                    await operator.cancels(name)

    async with asyncio.timeout(20):
        await asyncio.gather(work(), work(), interfere())
    seen = await stage.seen(name)
    for step, status in seen.steps.items():
        happened = ledger.effects.count(step) - ledger.effects.count(f"-{step}")
        assert happened in {"COMPLETED": {1}, "UNDONE": {0, 1}}.get(status, {0, 1}), (step, seen, ledger.effects)
        assert ledger.effects.count(step) <= 1
