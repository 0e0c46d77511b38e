"""A cell that drains gets a plan by itself; it is empty in the end, or says what it waits for."""

from datetime import timedelta

import pytest

from directory.plans import NewPlan, Plan
from directory.rules.planning import MOST_PROPOSED
from directory.rules.states import CellEvent
from directory.values import Cell, CellChange, MoveChange, MoveOptions, NewMove, Term
from placement.planning import conducting, draining
from placement.planning.draining import latest_begun, progress
from tests.placement.planning.world import World

TENANTS = tuple(f"tenant-{number}" for number in range(6))


async def drain_of(world: World, cell_id: str = "cell-1") -> Plan:
    """The latest of the cell."""
    return (await world.office.plans.plans(kind="drain", cell_id=cell_id))[0]


async def state_of(world: World, cell_id: str = "cell-1") -> str:
    """Of a cell."""
    return (await world.office.stage.truth.cell(cell_id)).state


async def test_a_drained_cell_is_emptied_and_said_to_be_empty(world: World) -> None:
    """The plan is approved by the fact that somebody drained the cell; when nobody is left, it is `empty`."""
    await world.settle("cell-1", *TENANTS)
    await world.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(20):
        await world.round()
        if await state_of(world) == "empty":
            break
        await world.carry()
    plan = await drain_of(world)
    assert (plan.state, plan.moved, plan.approved_by) == ("DONE", 6, "operator")
    assert await state_of(world) == "empty"
    assert await world.homes() == {"cell-1": 0, "cell-2": 3, "cell-3": 3}
    reasons = {step.reason for step in await world.office.plans.moves(plan.plan_id)}
    assert reasons == {"cell-1 is draining"}
    await world.round()
    assert len(await world.office.plans.plans()) == 1
    written = await world.office.log.entries()
    actions = [entry.action for entry in reversed(written)]
    assert actions == ["beginDrain", "planWave", *["beginPlanMove"] * 6, "emptyCell", "endPlan"]
    assert {(entry.actor, entry.outcome) for entry in written} == {("placement", "DONE")}
    assert set(written[-1].targets) == {"cell/cell-1", f"plan/{plan.plan_id}"}


async def test_an_empty_cell_that_is_drained_needs_no_plan(world: World) -> None:
    """It is empty at once."""
    await world.office.stage.truth.change_cell("cell-1", "drain")
    await world.round()
    assert await state_of(world) == "empty"
    assert await world.office.plans.plans() == []


async def test_a_cell_is_not_empty_while_somebody_may_come_back(world: World) -> None:
    """As long as the way back of a move out of it is kept, its rows are there."""
    await world.settle("cell-1", *TENANTS[:2])
    await world.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(3):
        await world.round()
        await world.carry("REVERSIBLE")
    assert (await world.homes())["cell-1"] == 0
    for _ in range(2):
        await world.round()
    assert await state_of(world) == "draining"
    assert (await drain_of(world)).state == "APPROVED"
    for move in await world.office.stage.desk.moves():
        await world.office.stage.desk.ask(move.move_id, "confirm")
    await world.carry()
    for _ in range(2):
        await world.round()
    assert await state_of(world) == "empty"
    assert (await drain_of(world)).state == "DONE"


@pytest.mark.parametrize("event", ["open", "cordon"])
async def test_a_drain_that_is_called_off_stops_after_the_current_moves(world: World, event: str) -> None:
    """And nothing is moved back."""
    await world.settle("cell-1", *(f"tenant-{number}" for number in range(12)))
    await world.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await world.round()
    under_way = len(await world.office.stage.desk.moves())
    assert under_way > 0
    await world.office.stage.truth.change_cell("cell-1", event)  # type: ignore[arg-type]
    await world.round()
    assert (await drain_of(world)).state == "STOPPING"
    await world.carry()
    for _ in range(2):
        await world.round()
    plan = await drain_of(world)
    assert (plan.state, plan.moved) == ("STOPPED", under_way)
    assert (await world.homes())["cell-1"] == 12 - under_way
    assert await world.carry() == []


async def test_who_has_nowhere_to_go_is_named_and_goes_when_there_is_room(small: World) -> None:
    """The drain waits, and goes on by itself."""
    await small.settle("cell-1", *TENANTS)
    for cell_id in ("cell-2", "cell-3"):
        await small.office.stage.truth.update_cell(cell_id, CellChange(capacity_tenants=1))
    await small.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(6):
        await small.round()
        await small.carry()
    plan = await drain_of(small)
    assert plan.state == "APPROVED"
    assert plan.summary["homeless"] == 4
    assert "should move (cell-1 is draining), but 2 cells would do and have no room" in plan.error
    shown = progress(await small.office.stage.truth.cell("cell-1"), plan, small.clock.now())
    assert (shown.cell.tenants, len(shown.homeless), shown.seconds_left) == (4, 4, None)
    await small.office.stage.truth.update_cell("cell-2", CellChange(capacity_tenants=20))
    await small.office.pass_time(conducting.REST_SECONDS + 1)
    for _ in range(6):
        await small.round()
        await small.carry()
    assert await state_of(small) == "empty"


async def test_a_draining_cell_is_emptied_though_nothing_is_measured(small: World) -> None:
    """Some tenants are measured and some not; the plan says how many."""
    small.demands.cpus = {TENANTS[0]: 1.0}
    await small.give_capacity(16.0, "cell-1", "cell-2", "cell-3")
    await small.settle("cell-1", *TENANTS)
    await small.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await small.round()
    assert (
        "5 tenants are new: what they took lately counts, else their plans"
        in (await drain_of(small)).summary["remarks"]
    )
    for _ in range(6):
        await small.carry()
        await small.round()
    assert await state_of(small) == "empty"


async def test_a_drain_that_failed_is_begun_again_after_a_rest(small: World) -> None:
    """For the cell is still to be drained."""
    await small.settle("cell-1", *TENANTS)
    small.given_up = set(TENANTS)
    await small.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(12):
        await small.round()
        await small.carry()
    failed = await drain_of(small)
    assert failed.state == "FAILED"
    await small.round()
    assert (await drain_of(small)).plan_id == failed.plan_id
    small.given_up = set()
    await small.office.pass_time(draining.AGAIN_SECONDS + 1)
    for _ in range(8):
        await small.round()
        await small.carry()
    assert await state_of(small) == "empty"
    assert len(await small.office.plans.plans(kind="drain")) == 2


async def test_a_drain_that_cannot_go_on_is_in_nobodys_way(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong about one cell: other drains and the plan for the balance go on."""
    await small.settle("cell-2", *TENANTS)
    truth = small.office.stage.truth
    change = truth.change_cell

    async def broken(cell_id: str, event: CellEvent, term: Term | None = None) -> Cell:
        if (cell_id, event) == ("cell-1", "empty"):
            raise RuntimeError("odd")
        return await change(cell_id, event, term)

    monkeypatch.setattr(truth, "change_cell", broken)
    balance = await small.approved()
    for cell_id in ("cell-1", "cell-3"):
        await change(cell_id, "drain")
    await small.round()
    assert [await state_of(small, cell_id) for cell_id in ("cell-1", "cell-3")] == ["draining", "empty"]
    assert (await small.through(balance)).ended_at is not None


async def test_what_was_only_proposed_for_a_cell_is_not_its_drain(small: World) -> None:
    """However often somebody looks at what it would be: the drain is shown, and after it failed it rests."""
    await small.settle("cell-1", *TENANTS)
    small.given_up = set(TENANTS)
    await small.office.stage.truth.change_cell("cell-1", "drain")
    await small.round()
    drain, plans = await drain_of(small), small.office.plans

    async def look(times: int) -> None:
        await small.office.pass_time(1)  # plans are known by their time
        for _ in range(times):
            await plans.propose(NewPlan("drain", "cell-1"), [])

    await look(MOST_PROPOSED + 5)
    assert (await latest_begun(plans, "cell-1") or drain).plan_id == drain.plan_id
    drain = await small.through(drain)
    assert drain.state == "FAILED"
    await look(1)
    await plans.ask((await drain_of(small)).plan_id, "stop", "ann")
    for _ in range(3):
        await small.round()
    begun = [plan for plan in await plans.plans(kind="drain", cell_id="cell-1") if plan.approved_by]
    assert [plan.plan_id for plan in begun] == [drain.plan_id]


async def test_a_drain_goes_on_beside_a_plan_for_the_balance(small: World) -> None:
    """Each with its own plan."""
    await small.settle("cell-1", *TENANTS)
    await small.settle("cell-3", "acme")
    balance = await small.approved()
    await small.office.stage.truth.change_cell("cell-3", "drain")
    for _ in range(10):
        await small.round()
        await small.carry()
    assert await state_of(small, "cell-3") == "empty"
    assert (await small.again(balance)).state == "DONE"
    assert sorted((await small.homes()).values()) == [0, 3, 4]


async def test_a_drain_shows_how_far_it_is(small: World) -> None:
    """By what was moved so far; before that by what earlier moves took."""
    small.demands.cpus, small.demands.size = dict.fromkeys(TENANTS, 1.0), 1e6
    await small.settle("cell-1", *TENANTS)
    truth = small.office.stage.truth
    await truth.change_cell("cell-1", "drain")
    assert progress(await truth.cell("cell-1"), None, small.clock.now()).plan is None
    for _ in range(2):
        await small.round()
    shown = progress(await truth.cell("cell-1"), await drain_of(small), small.clock.now())
    assert (shown.bytes_left, shown.tenants_an_hour) == (6e6, None)
    assert shown.seconds_left is not None
    assert shown.seconds_left > 0
    await small.carry()
    await small.round()
    plan = await drain_of(small)
    moved = plan.moved
    assert moved == 4
    assert plan.approved_at is not None
    now = plan.approved_at + timedelta(hours=1)
    shown = progress(await truth.cell("cell-1"), plan, now)
    assert (shown.tenants_an_hour, shown.bytes_an_hour, shown.bytes_left) == (4.0, 4e6, 2e6)
    assert shown.seconds_left == pytest.approx(1800.0)


async def test_a_drains_pace_is_that_of_the_bytes_that_were_copied(small: World) -> None:
    """Not of those that were expected."""
    small.demands.cpus, small.demands.size = dict.fromkeys(TENANTS, 1.0), 1e6
    await small.settle("cell-1", *TENANTS)
    stage = small.office.stage
    await stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await small.round()
    while (move := await stage.moves.claim("mover-1", 60.0, 100)) is not None:
        await stage.moves.note(move.move_id, move.token, MoveChange(progress={"bytes_copied": 250_000}))
        await stage.bring(move, "DONE")
    await small.round()
    plan = await drain_of(small)
    assert plan.approved_at is not None
    shown = progress(await stage.truth.cell("cell-1"), plan, plan.approved_at + timedelta(hours=1))
    assert (plan.moved, plan.moved_bytes, shown.bytes_an_hour) == (4, 1e6, 1e6)


async def test_a_tenant_that_moves_already_is_left_to_that_move(small: World) -> None:
    """And counts until it has left."""
    await small.settle("cell-1", "acme", "bolt")
    await small.office.stage.desk.plan(NewMove("acme", "cell-2", MoveOptions()))
    await small.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await small.round()
    assert sorted(move.tenant_id for move in await small.office.stage.desk.moves()) == ["acme", "bolt"]
    for _ in range(3):
        await small.carry()
        await small.round()
    assert await state_of(small) == "empty"


async def test_a_drain_says_for_which_moves_it_waits(world: World) -> None:
    """Also one that was started by hand, which no plan cancels: it is the operator's."""
    await world.settle("cell-3", "acme")
    stage = world.office.stage
    by_hand = await stage.desk.plan(NewMove("acme", "cell-1", MoveOptions()))
    await stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await world.round()
    waits = (await drain_of(world)).error
    assert waits.endswith(f"ways back to be over: {by_hand.move_id} of acme is PLANNED"), waits
    assert (await stage.desk.move(by_hand.move_id)).wish == "run"
    await stage.desk.ask(by_hand.move_id, "cancel")
    await empty(world)


async def empty(world: World, cell_id: str = "cell-1", most: int = 30) -> None:
    """Rounds and movers, until nobody lives there."""
    for _ in range(most):
        await world.round()
        if await state_of(world, cell_id) == "empty":
            return
        await world.carry()
    raise AssertionError(f"{cell_id} is {await state_of(world, cell_id)}: {await drain_of(world, cell_id)}")


async def assert_moved_once(world: World, *tenants: str) -> None:
    """Each of them, and nobody else."""
    moved = [move.tenant_id for move in await world.office.stage.desk.moves(limit=1000)]
    assert sorted(moved) == sorted(tenants)


MANY = tuple(f"tenant-{number}" for number in range(12))


async def test_a_drain_that_is_paused_rests_and_goes_on_to_the_end_when_it_is_resumed(world: World) -> None:
    """What was under way arrives meanwhile; nobody is moved twice."""
    await world.settle("cell-1", *MANY)
    await world.office.stage.truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await world.round()
    plan = await drain_of(world)
    await world.office.plans.ask(plan.plan_id, "pause", "ann")
    begun = len(await world.office.stage.desk.moves())
    assert 0 < begun < len(MANY)
    for _ in range(4):
        await world.carry()
        await world.round()
    plan = await drain_of(world)
    assert (plan.state, plan.moved, await state_of(world)) == ("PAUSED", begun, "draining")
    assert len(await world.office.stage.desk.moves()) == begun
    await world.office.plans.ask(plan.plan_id, "resume", "ann")
    await empty(world)
    again = await drain_of(world)
    assert (again.plan_id, again.state, again.moved) == (plan.plan_id, "DONE", len(MANY))
    await assert_moved_once(world, *MANY)


async def test_a_cell_that_was_cordoned_midway_and_is_drained_again_is_emptied(world: World) -> None:
    """By another plan, once the first has stopped; nobody is moved twice."""
    await world.settle("cell-1", *MANY)
    truth = world.office.stage.truth
    await truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await world.round()
    first = await drain_of(world)
    await truth.change_cell("cell-1", "cordon")
    for _ in range(3):
        await world.round()
        await world.carry()
    first = await world.again(first)
    assert first.state == "STOPPED"
    assert 0 < first.moved < len(MANY)
    await world.office.pass_time(1)  # plans are known by their time
    await truth.change_cell("cell-1", "drain")
    await empty(world)
    second = await drain_of(world)
    assert second.plan_id != first.plan_id
    assert (second.state, first.moved + second.moved) == ("DONE", len(MANY))
    await assert_moved_once(world, *MANY)


async def test_a_cell_that_is_drained_again_while_the_old_plan_stops_waits_for_it(world: World) -> None:
    """There is one plan of a cell at a time: the old one lets its moves arrive and stops, the new one does the
    rest."""
    await world.settle("cell-1", *MANY)
    truth = world.office.stage.truth
    await truth.change_cell("cell-1", "drain")
    for _ in range(2):
        await world.round()
    first, begun = await drain_of(world), len(await world.office.stage.desk.moves())
    await truth.change_cell("cell-1", "cordon")
    await world.round()
    assert (await world.again(first)).state == "STOPPING"
    await truth.change_cell("cell-1", "drain")
    for _ in range(3):
        await world.round()
    assert (await drain_of(world)).plan_id == first.plan_id
    assert (await world.again(first)).state == "STOPPING"
    assert len(await world.office.stage.desk.moves()) == begun
    await world.office.pass_time(1)  # plans are known by their time
    await empty(world)
    second, first = await drain_of(world), await world.again(first)
    assert second.plan_id != first.plan_id
    assert (first.state, first.moved) == ("STOPPED", begun)
    assert (second.state, second.moved) == ("DONE", len(MANY) - begun)
    await assert_moved_once(world, *MANY)
