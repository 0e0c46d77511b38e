"""The leader carries plans out: in waves, within budgets, once each, whoever dies in between."""

import asyncio
import contextlib
from collections import Counter

import pytest

from directory.audit import AuditEntry
from directory.errors import NotLeader, Unavailable
from directory.reservations import Booking, NewReservation, Use
from directory.rules.planning import StepState
from directory.values import Caps, CellChange, Move, MoveOptions, NewMove, NewTenant, Term
from placement.errors import NotSolved
from placement.planning import conducting
from placement.planning.making import at_once
from placement.planning.solving import Made, Task, solve
from placement.planning.wishes import Wishes
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.placement.planning.world import World

TENANTS = tuple(f"tenant-{number}" for number in range(9))


async def test_an_approved_plan_levels_the_fleet_wave_by_wave(world: World) -> None:
    """With no capacities known the number of tenants is levelled; each move has its reason, and the plan ends."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.proposed(Wishes(moves_of_a_wave=4))
    await world.round()
    assert await world.office.stage.desk.moves() == []  # nobody has approved of it
    await world.office.plans.ask(plan.plan_id, "approve", "ann")
    plan = await world.through(plan)
    assert (plan.state, plan.moved, plan.failed) == ("DONE", 6, 0)
    assert plan.wave > 1
    assert await world.homes() == {"cell-1": 3, "cell-2": 3, "cell-3": 3}
    steps = await world.office.plans.moves(plan.plan_id)
    assert Counter(step.state for step in steps) == Counter[StepState]({"moved": 6})
    assert all(step.reason and step.move_id for step in steps)
    began, now = plan.summary["began"], plan.summary["balances"]
    assert [each["before"] for each in began if each["resource"] == "tenants"] == [3.0]
    assert [each["before"] for each in now if each["resource"] == "tenants"] == [1.0]


async def written(world: World, *actions: str) -> list[AuditEntry]:
    """What the audit log has of these, in the order of their ends."""
    entries = await world.office.log.entries(limit=1000)
    return [entry for entry in reversed(entries) if entry.action in actions]


async def test_the_audit_log_has_every_move_that_was_begun(world: World) -> None:
    """One entry each, from the first wave on: who, from where to where, why, and by which plan."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.through(await world.approved(Wishes(moves_of_a_wave=4)))
    entries = await written(world, "beginPlanMove")
    moves = {move.tenant_id: move for move in await world.office.stage.desk.moves()}
    steps = {step.tenant_id: step for step in await world.office.plans.moves(plan.plan_id)}
    assert {entry.detail["wave"] for entry in entries} == {step.wave for step in steps.values()}
    assert 1 in {entry.detail["wave"] for entry in entries}
    assert len(entries) == len(moves) == plan.moved == 6
    for entry in entries:
        move = moves[entry.targets[0].removeprefix("tenant/")]
        assert entry.targets == (
            *(f"tenant/{move.tenant_id}", f"cell/{move.source}", f"cell/{move.destination}"),
            *(f"plan/{plan.plan_id}", f"move/{move.move_id}"),
        )
        assert (entry.actor, entry.outcome) == ("placement", "DONE")
        assert entry.detail["reason"] == steps[move.tenant_id].reason
        assert (entry.detail["source"], entry.detail["destination"]) == (move.source, move.destination)


async def test_no_more_begin_at_once_than_the_budgets_allow(world: World) -> None:
    """Of the plan, and of a cell with everything else that is in flight there."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_at_once=5, moves_of_a_cell=2, moves_of_a_wave=4))
    for _ in range(3):
        await world.round()
        assert (await world.office.stage.desk.flights())["cell-1"] == 2
    await world.carry()
    for _ in range(2):
        await world.round()
        assert sum((await world.office.stage.desk.flights()).values()) <= 4
    assert (await world.through(plan)).moved == 6


async def test_bytes_an_hour_are_kept(small: World) -> None:
    """The next ones begin when the hour allows."""
    small.demands.cpus, small.demands.size = dict.fromkeys(TENANTS, 1.0), 100.0
    await small.settle("cell-1", *TENANTS)
    await small.approved(Wishes(bytes_an_hour=150.0, cool_down_seconds=1.0))
    await small.round()
    await small.carry()
    for _ in range(3):
        await small.round()
    assert len(await small.office.stage.desk.moves()) == 2
    await small.office.pass_time(3601)
    for _ in range(3):
        await small.round()
    assert len(await small.office.stage.desk.moves()) == 4


async def test_a_new_leader_goes_on_after_any_step(world: World) -> None:
    """Whatever the last one did is in the directory: nothing is moved twice, and nothing is forgotten."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    for _ in range(40):
        world.conductor = world.new_conductor()
        await world.conductor.advance(await world.again(plan), world.term)
        plan = await world.again(plan)
        if plan.ended_at is not None:
            break
        await world.carry()
    assert (plan.state, plan.moved) == ("DONE", 6)
    tenants = [move.tenant_id for move in await world.office.stage.desk.moves()]
    assert len(tenants) == len(set(tenants)) == 6


async def test_of_two_leaders_the_earlier_one_begins_nothing(world: World) -> None:
    """Each believes to lead; the directory knows which is right, also in the middle of a wave."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    other = world.new_conductor()
    later = await world.office.terms.begin("placement", "another")
    with pytest.raises(NotLeader):
        await world.round()
    assert await world.office.stage.desk.moves() == []
    assert await written(world, "beginPlanMove") == []
    await other.round(later)
    begun = await world.office.stage.desk.moves()
    assert len(begun) == len(await written(world, "beginPlanMove")) == 2
    await world.carry()
    with pytest.raises(NotLeader):
        await world.round()
    assert (await world.again(plan)).moved == 0
    world.term, world.conductor = later, other
    assert (await world.through(plan)).moved == 6


async def test_leaders_that_act_at_the_same_time_move_nobody_twice(world: World) -> None:
    """Whatever comes first, transaction by transaction: what is begun is begun once, and in the latest term."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=3, moves_of_a_wave=3))
    terms, office = [world.term], world.office
    for _ in range(12):
        terms.append(await office.terms.begin("placement", f"leader-{len(terms)}"))
        rounds = [world.new_conductor().round(term) for term in terms[-3:] + terms[-1:]]
        ended = await asyncio.gather(*rounds, return_exceptions=True)
        assert {type(each) for each in ended[:-2]} <= {NotLeader}
        assert not [each for each in ended[-2:] if isinstance(each, BaseException)]
        await world.carry()
    plan = await world.again(plan)
    assert (plan.state, plan.moved, plan.failed) == ("DONE", 6, 0)
    moved = [move.tenant_id for move in await office.stage.desk.moves()]
    assert len(moved) == len(set(moved)) == 6


async def test_once_a_pause_is_answered_no_move_begins(world: World) -> None:
    """Also when it comes in the middle of a step."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved()
    desk = world.office.stage.desk

    async def pause() -> int:
        await world.office.plans.ask(plan.plan_id, "pause", "ann")
        return len(await desk.moves())

    _, begun = await asyncio.gather(world.round(), pause())
    await world.round()
    assert len(await desk.moves()) == begun
    assert (await world.again(plan)).state == "PAUSED"


async def test_a_plan_that_stops_lets_the_current_step_end(world: World) -> None:
    """What is under way arrives, and the rest is dropped."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    await world.round()
    await world.office.plans.ask(plan.plan_id, "pause", "ann")
    for _ in range(2):
        await world.round()
    assert len(await world.office.stage.desk.moves()) == 2
    await world.office.plans.ask(plan.plan_id, "stop", "ann")
    await world.round()
    assert (await world.again(plan)).state == "STOPPING"
    await world.carry()
    await world.round()
    plan = await world.again(plan)
    assert (plan.state, plan.moved) == ("STOPPED", 2)
    assert len(await world.office.stage.desk.moves()) == 2
    steps = await world.office.plans.moves(plan.plan_id)
    assert {step.state for step in steps} == {"moved", "dropped"}


async def test_a_plan_whose_moves_are_given_up_again_and_again_fails_with_the_reason(world: World) -> None:
    """After a few waves that have moved nobody."""
    await world.settle("cell-1", *TENANTS)
    world.given_up = set(TENANTS)
    plan = await world.through(await world.approved())
    assert (plan.state, plan.moved, plan.vain) == ("FAILED", 0, conducting.MOST_VAIN)
    assert "3 waves in succession have moved nobody" in plan.error


async def test_what_one_wave_could_not_do_the_next_one_plans_otherwise(world: World) -> None:
    """A tenant that was not to be moved stays; the others are moved, and the plan ends."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=3, moves_of_a_wave=3))
    first = (await world.office.plans.moves(plan.plan_id, limit=1))[0]
    world.given_up = {first.tenant_id}
    await world.round()
    await world.carry()
    world.given_up = set()
    plan = await world.through(plan)
    assert (plan.state, plan.moved) == ("DONE", 6)
    assert plan.failed == 1


async def test_a_move_that_the_directory_refuses_is_left_out(world: World) -> None:
    """With what it said; the plan is made anew without it."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=2))
    await world.round()
    await world.carry()
    for cell_id in ("cell-2", "cell-3"):
        await world.office.stage.truth.change_cell(cell_id, "cordon")
    await world.round()
    steps = await world.office.plans.moves(plan.plan_id, states=("refused",))
    assert steps
    assert all("is cordoned" in step.error for step in steps)
    entries = await written(world, "refusePlanMove")
    assert len(entries) == len(steps)
    assert sorted(entry.targets[0] for entry in entries) == sorted(f"tenant/{step.tenant_id}" for step in steps)
    for entry in entries:
        assert (f"plan/{plan.plan_id}" in entry.targets, entry.outcome) == (True, "DONE")
        assert "is cordoned" in entry.detail["why"]
    plan = await world.through(plan)
    assert (plan.state, plan.moved) == ("DONE", 2)


async def test_a_stuck_move_does_not_hold_the_others_up(small: World) -> None:
    """It is left to itself after a while, counted at both ends, and the next wave comes."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2, patience_seconds=60))
    await small.round()
    stuck = (await small.office.stage.desk.moves())[0]
    await small.office.stage.desk.ask(stuck.move_id, "pause")
    await small.carry()
    await small.round()
    assert (await small.again(plan)).wave == 1
    await small.office.pass_time(61)
    plan = await small.through(plan)
    assert (plan.state, plan.moved, plan.failed) == ("DONE", 5, 1)
    assert (await small.homes())["cell-1"] == 4  # the stuck one is still there


async def test_a_plan_that_ends_names_the_moves_that_it_has_left(world: World) -> None:
    """They are nobody's from then on, and may arrive long after. One that has arrived meanwhile is not named."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2, patience_seconds=60))
    await world.round()
    desk = world.office.stage.desk
    stuck, late = await desk.moves()
    for move in (stuck, late):
        await desk.ask(move.move_id, "pause")
    await world.office.pass_time(61)
    await world.round()
    assert {step.state for step in await world.office.plans.moves(plan.plan_id, limit=2)} == {"left"}
    await world.office.plans.ask(plan.plan_id, "stop", "ann")
    await desk.ask(late.move_id, "run")
    await world.carry("REVERSIBLE")
    plan = await world.through(plan)
    assert plan.state == "STOPPED"
    assert plan.error.endswith(f"left to themselves, and may arrive yet: {stuck.move_id} of {stuck.tenant_id}")
    assert late.move_id not in plan.error


async def test_a_move_that_was_started_by_hand_is_no_part_of_a_plan_that_stops(world: World) -> None:
    """It goes on; the plan neither waits for it nor counts it."""
    await world.settle("cell-1", *TENANTS)
    stage = world.office.stage
    by_hand = await stage.desk.plan(NewMove(TENANTS[0], "cell-3", MoveOptions(hold=True)))
    claimed = await stage.claim(by_hand.move_id)
    await stage.bring(claimed, "COPYING")
    plan = await world.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    await world.round()
    await world.office.plans.ask(plan.plan_id, "stop", "ann")
    begun = [move for move in await stage.desk.moves() if move.move_id != by_hand.move_id]
    assert TENANTS[0] not in {move.tenant_id for move in begun}
    await world.carry()
    await world.round()
    plan = await world.again(plan)
    assert (plan.state, plan.moved, plan.error) == ("STOPPED", len(begun), "")
    there = await stage.desk.move(by_hand.move_id)
    assert (there.phase, there.wish) == ("COPYING", "run")


async def test_a_plan_that_is_waited_for_in_vain_does_not_keep_others_from_their_turn(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody has locked the row of one of its tenants: each round ends there, and the next begins with
    the others."""
    await small.settle("cell-1", *TENANTS)
    await small.settle("cell-3", "leaving")
    await small.office.stage.truth.change_cell("cell-3", "drain")
    await small.conductor._drains.look(small.term)
    await small.office.pass_time(1)  # the latest plan comes first
    balance = await small.approved()
    begin = small.office.plans.begin

    async def locked(plan_id: str, number: int, options: MoveOptions, term: Term) -> Move:
        if plan_id == balance.plan_id:
            raise Unavailable("the control database cannot do it now")
        return await begin(plan_id, number, options, term)

    monkeypatch.setattr(small.office.plans, "begin", locked)
    for _ in range(4):
        with contextlib.suppress(Unavailable):
            await small.round()
    assert [move.tenant_id for move in await small.office.stage.desk.moves()] == ["leaving"]


async def test_a_cell_that_closes_has_the_moves_into_it_cancelled_and_the_rest_planned_anew(world: World) -> None:
    """Their commits would be refused again and again: nobody waits for that, and it is written down."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved()
    await world.round()
    begun = await world.office.stage.desk.moves()
    await world.office.stage.truth.change_cell("cell-2", "cordon")
    for _ in range(2):
        await world.round()
    wishes = {move.move_id: (move.destination, move.wish) for move in await world.office.stage.desk.moves()}
    assert set(wishes.values()) == {("cell-2", "cancel"), ("cell-3", "run")}
    cancelled = {f"move/{move_id}" for move_id, (cell_id, _) in wishes.items() if cell_id == "cell-2"}
    written = [entry for entry in await world.office.log.entries() if entry.action == "cancelMove"]
    assert {target for entry in written for target in entry.targets if target.startswith("move/")} == cancelled
    assert {(entry.actor, entry.outcome) for entry in written} == {("placement", "DONE")}
    assert len(written) == len(cancelled) < len(begun)
    plan = await world.through(plan)
    assert (plan.state, plan.failed) == ("DONE", len(cancelled))
    failed = await world.office.plans.moves(plan.plan_id, states=("failed",))
    assert {step.error for step in failed} == {"cell cell-2 is cordoned and takes nobody"}
    assert (await world.homes())["cell-2"] == 0


async def test_a_plan_stops_though_its_destination_takes_nobody(world: World) -> None:
    """And a destination that is drained itself is empty in the end."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved()
    await world.round()
    for cell_id in ("cell-2", "cell-3"):
        await world.office.stage.truth.change_cell(cell_id, "drain")
    await world.office.plans.ask(plan.plan_id, "stop", "ann")
    for _ in range(3):
        await world.round()
        await world.carry()
    assert (await world.again(plan)).state == "STOPPED"
    assert [(await world.office.stage.truth.cell(f"cell-{number}")).state for number in (2, 3)] == ["empty"] * 2
    assert await world.homes() == {"cell-1": 9, "cell-2": 0, "cell-3": 0}


async def test_a_wave_that_nobody_began_for_long_is_planned_anew(small: World) -> None:
    """After a long pause the fleet is another."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    await small.round()
    assert len(await small.office.stage.desk.moves()) == 2
    await small.carry()
    await small.round()
    await small.office.plans.ask(plan.plan_id, "pause", "ann")
    assert (await small.again(plan)).wave == 2
    await small.office.pass_time(conducting.STALE_SECONDS + 1)
    await small.office.plans.ask(plan.plan_id, "resume", "ann")
    await small.round()
    assert (await small.again(plan)).wave == 3


async def test_a_plan_that_is_approved_late_is_planned_anew_before_it_begins(small: World) -> None:
    """Tenants came meanwhile where others were to go: nobody is sent where no room is left."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.proposed()
    assert {step.destination for step in await small.office.plans.moves(plan.plan_id)} == {"cell-2", "cell-3"}
    await small.settle("cell-2", *(f"new-{number}" for number in range(9)))
    await small.office.pass_time(conducting.STALE_SECONDS + 1)
    await small.office.plans.ask(plan.plan_id, "approve", "ann")
    await small.round()
    assert await small.office.stage.desk.moves() == []
    assert (await small.again(plan)).wave == 2
    plan = await small.through(plan)
    assert (plan.state, plan.failed) == ("DONE", 0)
    assert await small.homes() == {"cell-1": 6, "cell-2": 6, "cell-3": 6}


async def test_a_plan_whose_cells_changed_before_it_begins_is_planned_anew(world: World) -> None:
    """Although it was approved at once: nothing of it is refused, for none of it goes there any more."""
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved()
    await world.office.stage.truth.update_cell("cell-2", CellChange(capacity_tenants=1))
    plan = await world.through(plan)
    assert (plan.state, plan.failed) == ("DONE", 0)
    assert (await world.homes())["cell-2"] <= 1
    assert {step.wave for step in await world.office.plans.moves(plan.plan_id)} == {2}


async def test_a_plan_whose_first_wave_is_outdated_and_not_needed_any_more_moves_nobody(small: World) -> None:
    """What is begun only from a ratio on is not begun below it."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.approved()
    for cell_id in ("cell-2", "cell-3"):
        await small.settle(cell_id, *(f"{cell_id}-{number}" for number in range(8)))
    await small.office.pass_time(conducting.STALE_SECONDS + 1)
    plan = await small.through(plan)
    assert (plan.state, plan.moved) == ("DONE", 0)
    assert await small.office.stage.desk.moves() == []


async def test_what_is_reserved_is_left_free_by_plans(world: World) -> None:
    """A place of the highest plan that is kept for somebody is taken by nobody who moves."""
    truth, room = world.office.stage.truth, world.office.stage.room
    for name in ("acme", "bolt"):
        await truth.create_tenant(NewTenant(name, name, plan="premium"), "cell-1")
    await truth.update_cell("cell-2", CellChange(caps=Caps(top_tier=1)))
    await truth.change_cell("cell-3", "cordon")
    [seen] = [each for each in await room.rooms() if each.cell.cell_id == "cell-2"]
    takes = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0)
    kept = await room.reserve(NewReservation("cell-2", 60, "premium"), Booking(takes, takes, seen.offer))
    plan = await world.through(await world.approved())
    assert (plan.state, plan.moved) == ("DONE", 0)
    new = NewTenant("carl", "Carl", plan="premium")
    await truth.create_tenant(new, "cell-2", Use(kept.reservation_id, takes))
    assert await world.homes() == {"cell-1": 2, "cell-2": 1, "cell-3": 0}


async def test_one_plan_that_breaks_does_not_hold_the_others_up(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again after a rest."""
    await small.settle("cell-1", *TENANTS)
    await small.office.stage.truth.change_cell("cell-3", "drain")
    balance = await small.approved()
    advance = small.conductor.advance

    async def broken(plan: object, term: object) -> None:
        if getattr(plan, "kind", "") == "drain":
            raise RuntimeError("a fault of ours")
        await advance(plan, term)  # type: ignore[arg-type]

    monkeypatch.setattr(small.conductor, "advance", broken)
    await small.round()
    assert len(await small.office.stage.desk.moves()) > 0
    assert (await small.again(balance)).state == "APPROVED"


async def test_while_one_plan_is_made_moves_of_another_are_begun_and_watched(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large fleet that takes a minute, and others' tenants must not wait for it."""
    monkeypatch.setattr(conducting, "PATIENCE_SECONDS", 0.01)
    await small.settle("cell-1", *TENANTS)
    await small.settle("cell-3", "leaving")
    balance = await small.approved(Wishes(moves_at_once=1))
    await small.round()
    [first] = await small.office.stage.desk.moves(unfinished=True)
    solved, asked = asyncio.Event(), 0

    async def slow(task: Task) -> Made:
        nonlocal asked
        if task.drained is not None:
            asked += 1
            await solved.wait()
        return solve(task)

    monkeypatch.setattr(small.maker, "_solver", slow)
    await small.office.stage.truth.change_cell("cell-3", "drain")
    await small.round()
    await small.carry()
    for _ in range(len(TENANTS)):  # some of the wave were meant for the cell that drains, and are refused
        await small.round()
    assert (await small.again(balance)).moved > 0
    assert {move.move_id for move in await small.office.stage.desk.moves()} > {first.move_id}
    [drain] = await small.office.plans.plans(kind="drain")
    assert asked == 1
    assert await small.office.plans.moves(drain.plan_id) == []
    solved.set()
    assert small.conductor._making is not None
    await small.conductor._making[1]
    assert (await small.office.plans.moves(drain.plan_id))[0].tenant_id == "leaving"
    await small.round()
    assert "leaving" in [move.tenant_id for move in await small.office.stage.desk.moves(unfinished=True)]
    await small.conductor.close()


async def test_what_is_wrong_about_a_plan_that_took_long_is_found_by_the_next_round(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests, and is made again."""
    monkeypatch.setattr(conducting, "PATIENCE_SECONDS", 0.01)
    await small.settle("cell-3", "leaving")
    solved = asyncio.Event()

    async def vain(_task: Task) -> Made:
        await solved.wait()
        raise NotSolved("no plan was found")

    monkeypatch.setattr(small.maker, "_solver", vain)
    await small.office.stage.truth.change_cell("cell-3", "drain")
    await small.round()
    solved.set()
    assert small.conductor._making is not None
    await small.conductor._making[1]
    monkeypatch.setattr(small.maker, "_solver", at_once)
    await small.round()
    assert await small.office.stage.desk.moves() == []
    assert isinstance(small.clock, ManualClock)
    small.clock.advance(conducting.REST_SECONDS)
    for _ in range(2):
        await small.round()
    assert [move.tenant_id for move in await small.office.stage.desk.moves()] == ["leaving"]
    await small.conductor.close()


async def test_plans_that_nobody_approves_expire(small: World) -> None:
    """The leader looks now and then."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.proposed()
    await small.office.pass_time(3700)
    assert isinstance(small.clock, ManualClock)
    await small.round()
    assert (await small.again(plan)).state == "EXPIRED"
    [entry] = await written(small, "expirePlan")
    assert (entry.targets, entry.outcome, entry.detail) == ((f"plan/{plan.plan_id}",), "DONE", {"plans": 1})


async def test_who_does_not_lead_does_nothing(small: World) -> None:
    """Until it does."""
    await small.settle("cell-1", *TENANTS)
    await small.approved()
    assert isinstance(small.clock, ManualClock)
    tasks = Tasks()
    stepped = tasks.spawn("step", small.new_conductor().step())
    await asyncio.sleep(0)
    small.clock.advance(conducting.IDLE_SECONDS)
    await stepped
    await tasks.close()
    assert await small.office.stage.desk.moves() == []
