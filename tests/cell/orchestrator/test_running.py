"""Every effect happens once, and none is left behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cell import metrics
from cell.access import enter_at
from cell.database import transaction
from cell.errors import NotAllowed
from cell.orchestrator.actions import Action, After, Call, Here, There, Told
from cell.orchestrator.registry import Bound, Registry
from cell.orchestrator.starting import cancel
from cell.rules.turns import MOST_DEATHS
from cell.rules.workflows import Kind, Malformed, Retry, Step, Workflow
from runtime.database import Connection
from tests.cell.cells import CellDatabase
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage
from tests.waiting import eventually


def bound(*steps: tuple[Step, Action], version: int = 1, cancellable: bool = True) -> Bound:
    """A workflow of these."""
    workflow = Workflow("made_up", version, [step for step, _ in steps], cancellable)
    return Bound(workflow, {step.name: action for step, action in steps})


def outside(ledger: Ledger, *names: str, **more: Any) -> list[tuple[Step, Action]]:
    """Steps that act at the ledger's, one after the other."""
    return [(Step(name, undoes=True, **more), There(ledger)) for name in names]


async def _account(connection: Connection, call: Call) -> dict[str, Any]:
    await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('made', $1)", call.key)
    return {"from": dict(call.outputs.get("one", {})), "payload": dict(call.payload)}


async def _no_account(connection: Connection, call: Call) -> None:
    await connection.execute("DELETE FROM cell.accounts WHERE display_name = $1", call.key)


ACCOUNT = (Step("account", undoes=True), Here(_account, _no_account))


async def accounts(stage: Stage) -> int:
    """How many the tenant has."""
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        return int(await connection.fetchval("SELECT count(*) FROM cell.accounts"))


async def test_steps_run_in_order_and_hand_on_what_they_made(stage: Stage, ledger: Ledger) -> None:
    """With one hint, as far as nothing has to be waited for."""
    made = bound(*outside(ledger, "one"), ACCOUNT, *outside(ledger, "two"))
    seen = await stage.run(await stage.begin(made, {"plan": "free"}), made)
    assert (seen.state, seen.outcome, seen.wakes) == ("COMPLETED", "COMPLETED", False)
    assert ledger.effects == ["one", "two"]
    assert seen.outputs["account"] == {"from": {"made": "one"}, "payload": {"plan": "free"}}
    assert await accounts(stage) == 1


async def test_what_was_done_is_undone_in_reverse_when_a_step_is_given_up(stage: Stage, ledger: Ledger) -> None:
    """Nothing is left, neither outside nor here."""
    other = Ledger()
    other.failures = 99
    last = (Step("three", undoes=True, retry=Retry(attempts=2)), There(other))
    made = bound(*outside(ledger, "one", "two"), ACCOUNT, last)
    seen = await stage.finish(await stage.begin(made), made)
    assert (seen.state, seen.outcome) == ("ROLLED_BACK", "ROLLED_BACK")
    assert set(seen.steps.values()) == {"UNDONE"}
    assert seen.attempts["three"] == 2
    assert ledger.effects == ["one", "two", "-two", "-one"]
    assert await accounts(stage) == 0


async def test_a_step_that_fails_now_and_then_is_tried_again(stage: Stage, ledger: Ledger) -> None:
    """After a wait that is a row, not a sleeping process."""
    ledger.failures = 2
    made = bound(*outside(ledger, "one"))
    name = await stage.begin(made)
    seen = await stage.run(name, made)
    assert (seen.state, seen.attempts, seen.wakes) == ("ONE_IN_PROGRESS", {"one": 1}, True)
    assert (await stage.run(name, made)).attempts == {"one": 1}  # not yet
    seen = await stage.finish(name, made)
    assert (seen.outcome, seen.attempts) == ("COMPLETED", {"one": 3})
    assert ledger.effects == ["one"]


async def test_nothing_of_a_failed_attempt_here_stays(stage: Stage) -> None:
    """Its transaction is rolled back."""

    async def halfway(connection: Connection, call: Call) -> dict[str, Any]:
        await _account(connection, call)
        raise RuntimeError("halfway")

    made = bound((Step("account", undoes=True, retry=Retry(attempts=1)), Here(halfway, _no_account)))
    seen = await stage.finish(await stage.begin(made), made)
    assert seen.outcome == "ROLLED_BACK"
    assert await accounts(stage) == 0


async def test_after_a_crash_the_party_is_asked_before_anything_is_done_again(
    stage: Stage, ledger: Ledger
) -> None:
    """The worker died between the effect and its record."""
    made = bound(*outside(ledger, "one", "two"))
    name = await stage.begin(made)
    worker = asyncio.create_task(stage.run(name, made))
    ledger.answer_lost = worker.cancel
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert ledger.effects == ["one"]
    assert (await stage.seen(name)).steps == {"one": "STARTED"}
    assert (await stage.run(name, made)).steps == {"one": "STARTED"}  # its lease is not over
    await stage.time_passes(name)
    seen = await stage.run(name, made)
    assert seen.outcome == "COMPLETED"
    assert ledger.asked == ["one"]
    assert ledger.effects == ["one", "two"]


@pytest.mark.parametrize("deaths", [MOST_DEATHS - 1, MOST_DEATHS])
async def test_a_step_that_always_takes_its_worker_along_is_given_up(
    stage: Stage, ledger: Ledger, deaths: int
) -> None:
    """But not one beside which workers die now and then: a death is no failure of the step."""
    made = bound(*outside(ledger, "one", retry=Retry(attempts=1)))
    name = await stage.begin(made)
    ledger.hold = asyncio.Event()
    for _ in range(deaths):
        ledger.arrived.clear()
        worker = asyncio.create_task(stage.run(name, made))
        await ledger.arrived.wait()
        worker.cancel()
        await asyncio.wait([worker])
        await stage.time_passes(name)
    ledger.hold = None
    seen = await stage.finish(name, made)
    assert seen.outcome == ("ROLLED_BACK" if deaths == MOST_DEATHS else "COMPLETED")
    assert seen.attempts == {"one": MOST_DEATHS}
    assert ledger.effects == ([] if deaths == MOST_DEATHS else ["one"])


async def test_who_lost_the_lease_writes_nothing(stage: Stage, ledger: Ledger) -> None:
    """It was slow, not dead: another one finished meanwhile."""
    made = bound(*outside(ledger, "one"), ACCOUNT)
    name = await stage.begin(made)
    ledger.hold = asyncio.Event()
    slow = asyncio.create_task(stage.run(name, made))
    await ledger.arrived.wait()
    await stage.time_passes(name)
    let_through, ledger.hold = ledger.hold, None
    seen = await stage.run(name, made)
    assert seen.outcome == "COMPLETED"
    let_through.set()
    assert await slow == seen
    assert ledger.effects == ["one"]
    assert await accounts(stage) == 1


async def test_a_lease_of_before_a_move_keeps_nobody_waiting(
    stage: Stage, cell_database: CellDatabase, ledger: Ledger
) -> None:
    """Whoever was at it when its tenant moved can record nothing more: another asks, and goes on at once."""
    made = bound(*outside(ledger, "one"), ACCOUNT)
    name = await stage.begin(made)
    ledger.hold = asyncio.Event()
    left_behind = asyncio.create_task(stage.runner(made).run(stage.tenant_id, name, stage.epoch))
    await ledger.arrived.wait()
    let_through, ledger.hold = ledger.hold, None
    after = await stage.moved(cell_database)
    assert (await after.run(name, made)).outcome == "COMPLETED"
    let_through.set()
    assert await left_behind is None
    assert ledger.effects == ["one"]
    assert await accounts(after) == 1


async def test_an_outage_counts_as_no_attempt_and_ends_by_itself(stage: Stage, ledger: Ledger) -> None:
    """However long it lasts."""
    ledger.away = True
    made = bound(*outside(ledger, "one", retry=Retry(attempts=1)))
    name = await stage.begin(made)
    for _ in range(5):
        seen = await stage.run(name, made)
        assert (seen.state, seen.attempts["one"], seen.wakes) == ("ONE_IN_PROGRESS", 0, True)
        await stage.time_passes(name)
    ledger.away = False
    assert (await stage.run(name, made)).outcome == "COMPLETED"


async def test_what_cannot_be_undone_waits_for_a_person_and_keeps_nobody(stage: Stage, ledger: Ledger) -> None:
    """After three vain attempts; the steps before it are undone all the same."""
    stubborn, last = Ledger(), Ledger()
    stubborn.undo_failures = last.failures = 99
    made = bound(
        *outside(ledger, "one"),
        *outside(stubborn, "two"),
        (Step("three", retry=Retry(attempts=1)), There(last)),
    )
    alarms = metrics.STUCK.labels(made.workflow.name, "two")._value.get()
    seen = await stage.finish(await stage.begin(made), made)
    assert (seen.state, seen.outcome, seen.wakes) == ("TWO_STUCK", None, False)
    assert metrics.STUCK.labels(made.workflow.name, "two")._value.get() == alarms + 1
    assert seen.steps == {"one": "UNDONE", "two": "STUCK", "three": "UNDONE"}
    assert ledger.effects == ["one", "-one"]


async def test_branches_run_at_the_same_time(stage: Stage, ledger: Ledger) -> None:
    """Each waits for the other here, so one after the other would never end."""
    met = asyncio.Barrier(2)

    class Meeting(Ledger):
        """Acts once both are there."""

        async def act(self, call: Call) -> Any:
            async with met:
                return await super().act(call)

    meeting = Meeting()
    made = bound(
        *outside(ledger, "one"),
        (Step("left", after=("one",), undoes=True), There(meeting)),
        (Step("right", after=("one",), undoes=True), There(meeting)),
        (Step("last", after=("left", "right"), undoes=True), There(ledger)),
    )
    seen = await stage.run(await stage.begin(made), made)
    assert seen.outcome == "COMPLETED"
    assert ledger.effects == ["one", "last"]
    assert sorted(meeting.effects) == ["left", "right"]


async def test_a_branch_ends_before_the_other_ones_failure_is_undone(stage: Stage, ledger: Ledger) -> None:
    """What is under way may yet have an effect."""
    failing = Ledger()
    failing.failures = 99
    ledger.hold = asyncio.Event()
    made = bound(
        (Step("slow", after=(), undoes=True), There(ledger)),
        (Step("bad", after=(), undoes=True, retry=Retry(attempts=1)), There(failing)),
    )
    name = await stage.begin(made)
    running = asyncio.create_task(stage.run(name, made))

    async def failed() -> bool:
        return (await stage.seen(name)).steps.get("bad") == "FAILED"

    await eventually(failed)
    assert (await stage.seen(name)).steps["slow"] == "STARTED"
    ledger.hold.set()
    assert (await running).outcome == "ROLLED_BACK"
    assert ledger.effects == ["slow", "-slow"]


async def test_a_timer_fires_when_its_time_has_come_and_once(stage: Stage, ledger: Ledger) -> None:
    """Ninety days are a row."""
    days = 90 * 86_400.0
    made = bound((Step("retention", Kind.TIMER), After(lambda _call: days)), *outside(ledger, "purge"))
    name = await stage.begin(made)
    for _ in range(3):
        seen = await stage.run(name, made)
        assert (seen.state, seen.wakes) == ("RETENTION_IN_PROGRESS", True)
    await stage.time_passes(name)
    assert (await stage.run(name, made)).outcome == "COMPLETED"
    assert ledger.effects == ["purge"]


async def test_how_long_a_timer_waits_may_follow_from_the_step_before(stage: Stage) -> None:
    """Also from one that ended by itself a moment ago."""

    async def act(_connection: Connection, _call: Call) -> dict[str, Any]:
        return {"seconds": 3600.0}

    made = bound(
        (Step("one"), Here(act)),
        (Step("paid", Kind.SIGNAL), Told(lambda call: call.outputs["one"]["seconds"])),
        (Step("rest", Kind.TIMER), After(lambda call: call.outputs["paid"]["seconds"])),
    )
    name = await stage.begin(made)
    assert (await stage.run(name, made)).state == "PAID_IN_PROGRESS"
    assert await stage.tell(name, "paid", {"seconds": 7200.0})
    assert (await stage.run(name, made)).state == "REST_IN_PROGRESS"
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        waits = await connection.fetchval(
            "SELECT extract(epoch FROM wake_at - now()) FROM cell.orchestration_steps WHERE step = 'rest'"
        )
    assert 7000 < waits < 7201


@pytest.mark.parametrize("when", ["before", "while it waits", "while somebody is at it"])
async def test_a_signal_is_never_slept_through(stage: Stage, ledger: Ledger, when: str) -> None:
    """Whenever it comes."""
    made = bound(*outside(ledger, "one"), (Step("paid", Kind.SIGNAL), Told()))
    name = await stage.begin(made)
    if when == "before":
        assert await stage.tell(name, "paid", {"by": "card"})
    elif when == "while it waits":
        assert not (await stage.run(name, made)).wakes
        assert await stage.tell(name, "paid", {"by": "card"})
    else:
        ledger.hold = asyncio.Event()
        running = asyncio.create_task(stage.run(name, made))
        await ledger.arrived.wait()
        assert await stage.tell(name, "paid", {"by": "card"})
        ledger.hold.set()
        assert (await running).wakes
    seen = await stage.run(name, made)
    assert (seen.outcome, seen.outputs["paid"]) == ("COMPLETED", {"by": "card"})
    assert not await stage.tell(name, "paid", {"by": "cheque"})


async def test_a_signal_that_never_comes_is_waited_for_no_longer_than_it_may(stage: Stage) -> None:
    """Then it goes on without."""
    made = bound((Step("paid", Kind.SIGNAL), Told(lambda _call: 3600.0)))
    name = await stage.begin(made)
    assert (await stage.run(name, made)).wakes
    await stage.time_passes(name)
    seen = await stage.run(name, made)
    assert (seen.outcome, seen.outputs) == ("COMPLETED", {})


async def test_a_cancelled_one_goes_back(stage: Stage, ledger: Ledger) -> None:
    """Also while it waits; after its end it is too late."""
    made = bound(*outside(ledger, "one"), (Step("paid", Kind.SIGNAL), Told()), *outside(ledger, "two"))
    name = await stage.begin(made)
    await stage.run(name, made)
    assert await stage.cancel(name, made)
    seen = await stage.run(name, made)
    assert seen.outcome == "ROLLED_BACK"
    assert ledger.effects == ["one", "-one"]
    assert not await stage.cancel(name, made)


STEPS_OF_A_LIFE = ("one", "two", "three")


@pytest.mark.parametrize("done", range(len(STEPS_OF_A_LIFE)))
@pytest.mark.parametrize("begun", [False, True])
async def test_it_can_be_cancelled_in_every_state_before_its_end(stage: Stage, done: int, begun: bool) -> None:
    """Before it began, while a step's party is away, and between two of them: all that was done is undone."""
    ledgers = {name: Ledger() for name in STEPS_OF_A_LIFE}
    steps = [part for name in STEPS_OF_A_LIFE for part in outside(ledgers[name], name)]
    made = bound(*steps)
    name = await stage.begin(made)
    ledgers[STEPS_OF_A_LIFE[done]].away = True
    if begun:
        assert (await stage.run(name, made)).state == f"{STEPS_OF_A_LIFE[done].upper()}_IN_PROGRESS"
    assert await stage.cancel(name, made)
    assert await stage.cancel(name, made)
    ledgers[STEPS_OF_A_LIFE[done]].away = False
    seen = await stage.finish(name, made)
    assert seen.outcome == "ROLLED_BACK"
    assert [ledger.done for ledger in ledgers.values()] == [{}, {}, {}]
    for step in STEPS_OF_A_LIFE[:done] if begun else ():
        assert ledgers[step].effects == [step, f"-{step}"]


@pytest.mark.parametrize("end", ["COMPENSATING", "STUCK", "ROLLED_BACK", "COMPLETED"])
async def test_to_cancel_what_goes_back_or_has_ended_changes_nothing(
    stage: Stage, ledger: Ledger, end: str
) -> None:
    """It is told when that is too late."""
    last = Ledger()
    last.failures = 0 if end == "COMPLETED" else 99
    ledger.undo_failures = {"COMPENSATING": 1, "STUCK": 99}.get(end, 0)
    made = bound(*outside(ledger, "one"), (Step("two", retry=Retry(attempts=1)), There(last)))
    name = await stage.begin(made)
    before = await (stage.run if end == "COMPENSATING" else stage.finish)(name, made)
    assert before.state.endswith(end)
    assert await stage.cancel(name, made) == (before.outcome is None)
    after = await stage.finish(name, made)
    assert after.outcome == {"COMPENSATING": "ROLLED_BACK"}.get(end, before.outcome)


async def test_what_cannot_be_cancelled_says_so(stage: Stage, ledger: Ledger) -> None:
    """NotAllowed, and nothing changes."""
    made = bound(*outside(ledger, "one"), cancellable=False)
    name = await stage.begin(made)
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        with pytest.raises(NotAllowed):
            await cancel(connection, name, made)
    assert (await stage.run(name, made)).outcome == "COMPLETED"


async def test_one_that_began_under_another_version_is_finished_by_it(stage: Stage, ledger: Ledger) -> None:
    """A worker that does not know the version leaves it alone; one that knows both begins with the last."""
    old, new = bound(*outside(ledger, "one")), bound(*outside(ledger, "other"), version=2)
    name = await stage.begin(old)
    seen = await stage.run(name, new)
    assert (seen.state, seen.steps) == ("PENDING", {})
    seen = await stage.run(name, old, new)
    assert (seen.outcome, set(seen.steps)) == ("COMPLETED", {"one"})
    assert Registry([old, new]).latest("made_up") is new


@pytest.mark.parametrize(
    ("step", "action"),
    [
        (Step("one", Kind.TIMER), There(Ledger())),
        (Step("one"), After(lambda _call: 1.0)),
        (Step("one", Kind.SIGNAL), After(lambda _call: 1.0)),
        (Step("one"), Here(_account, _no_account)),
        (Step("one", undoes=True), Here(_account)),
    ],
)
def test_a_step_is_what_it_is_declared_as(step: Step, action: Action) -> None:
    """Else it is refused where it is put together."""
    with pytest.raises(Malformed):
        bound((step, action))


def test_every_step_has_its_action() -> None:
    """And every action its step."""
    workflow = Workflow("made_up", 1, [Step("one")])
    for names in ([], ["two"], ["one", "two"]):
        with pytest.raises(Malformed):
            Bound(workflow, dict.fromkeys(names, There(Ledger())))


async def test_a_signal_without_a_time_is_waited_for_whatever_else_is_told(stage: Stage) -> None:
    """Only its own name ends it, also for an owner who reads from the rows that it waits."""
    made = bound((Step("paid", Kind.SIGNAL), Told()))
    name = await stage.begin(made)
    await stage.run(name, made)
    await stage.tell(name, "other", {})
    assert (await stage.run(name, made)).steps == {"paid": "STARTED"}
    await stage.tell(name, "paid", {"by": "card"})
    assert (await stage.run(name, made)).outputs == {"paid": {"by": "card"}}


@pytest.fixture
async def dying_commits(cell_database: CellDatabase) -> AsyncIterator[None]:
    """The first commit of an account that the workflow made takes its connection along."""
    admin = await cell_database.connect()
    await admin.execute("""
        CREATE SEQUENCE cell.commits; GRANT USAGE ON cell.commits TO PUBLIC;
        CREATE FUNCTION cell.die() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('cell.commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER die AFTER INSERT OR DELETE ON cell.accounts DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION cell.die();
    """)
    yield
    await admin.execute("DROP TRIGGER die ON cell.accounts; DROP FUNCTION cell.die; DROP SEQUENCE cell.commits")
    await admin.close()


@pytest.mark.usefixtures("dying_commits")
async def test_what_was_not_committed_is_not_believed_to_be_done(stage: Stage, ledger: Ledger) -> None:
    """Nobody knows whether a commit without an answer was done: only what the database has counts from then on."""
    made = bound(ACCOUNT, *outside(ledger, "two"))
    name = await stage.begin(made)
    broken = await stage.run(name, made)
    assert (broken.steps["account"], await accounts(stage), ledger.effects) == ("STARTED", 0, [])
    seen = await stage.finish(name, made)
    assert (seen.outcome, await accounts(stage), ledger.effects) == ("COMPLETED", 1, ["two"])


async def test_a_database_that_goes_is_no_fault_of_the_step(stage: Stage, ledger: Ledger) -> None:
    """However often: it is tried again when the database is back, and its attempts are left to real failures."""
    deaths = iter(range(4))

    async def dying(connection: Connection, call: Call) -> dict[str, Any]:
        if next(deaths, None) is not None:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return await _account(connection, call)

    made = bound((Step("account", undoes=True, retry=Retry(attempts=2)), Here(dying, _no_account)))
    seen = await stage.finish(await stage.begin(made), made)
    assert (seen.outcome, await accounts(stage)) == ("COMPLETED", 1)
