"""The leader carries plans out: in waves, within budgets, once each, whoever dies in between."""

import asyncio
from collections import Counter

import pytest

from directory.errors import NotLeader
from directory.rules.planning import StepState
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
    await other.round(later)
    begun = await world.office.stage.desk.moves()
    assert len(begun) == 2
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
    plan = await world.approved()
    for cell_id in ("cell-2", "cell-3"):
        await world.office.stage.truth.change_cell(cell_id, "cordon")
    await world.round()
    steps = await world.office.plans.moves(plan.plan_id, states=("refused",))
    assert steps
    assert all("is cordoned" in step.error for step in steps)
    plan = await world.through(plan)
    assert (plan.state, plan.moved) == ("DONE", 0)


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


async def test_a_wave_that_nobody_began_for_long_is_planned_anew(small: World) -> None:
    """After a long pause the fleet is another; but what an operator has seen is begun as it is."""
    await small.settle("cell-1", *TENANTS)
    plan = await small.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    await small.office.plans.ask(plan.plan_id, "pause", "ann")
    await small.office.pass_time(conducting.STALE_SECONDS + 1)
    await small.office.plans.ask(plan.plan_id, "resume", "ann")
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


async def test_one_plan_that_breaks_does_not_hold_the_others_up(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again after a rest."""
    await small.settle("cell-1", *TENANTS)
    balance = await small.approved()
    await small.office.stage.truth.change_cell("cell-3", "drain")
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
    balance = await small.approved()
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
    assert len(await small.office.stage.desk.moves(unfinished=True)) > 0
    await small.carry()
    await small.round()
    assert (await small.again(balance)).moved > 0
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
