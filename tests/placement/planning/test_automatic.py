"""Plans that approve of themselves: when there is reason, within budgets, outside quiet hours."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from directory.plans import PlanMove
from placement.planning.automatic import Limits
from placement.planning.wishes import Wishes
from placement.rules.pacing import Budget, Stretch, beginning, hours_of, seconds_of
from tests.placement.planning.world import World

TENANTS = tuple(f"tenant-{number}" for number in range(9))
ON = Limits(on=True, every_seconds=300.0)


def automatic(world: World, limits: Limits = ON) -> World:
    """The same with these limits."""
    world.limits = limits
    world.conductor = world.new_conductor()
    return world


async def test_by_default_nothing_is_done_by_itself(small: World) -> None:
    """Somebody has to say so."""
    await small.settle("cell-1", *TENANTS)
    for _ in range(3):
        await small.round()
    assert await small.office.plans.plans() == []


async def test_a_hot_cell_is_levelled_by_itself_and_a_level_fleet_left_alone(small: World) -> None:
    """From the ratio of 1.15 on; of looking alone nothing is kept."""
    automatic(small)
    await small.settle("cell-1", *TENANTS)
    await small.round()
    plan = (await small.office.plans.plans())[0]
    assert (plan.automatic, plan.approved_by, plan.state) == (True, "automatic", "APPROVED")
    assert (await small.through(plan)).state == "DONE"
    for _ in range(3):
        await small.office.pass_time(301)
        await small.round()
    assert len(await small.office.plans.plans()) == 1


async def test_what_is_level_enough_is_left_alone_by_itself(small: World) -> None:
    """At 1.12 nobody moves however often it looks; above 1.15 somebody does."""
    homes = {"cell-1": TENANTS[:3], "cell-2": TENANTS[3:6], "cell-3": TENANTS[6:]}
    for cell_id, tenants in homes.items():
        await small.settle(cell_id, *tenants)
    await small.give_capacity(20.0, *homes)
    hot = dict(zip(TENANTS, [1.12, 1.12, 1.12, *[0.94] * 6], strict=True))
    small.demands.cpus = hot
    automatic(small)
    for _ in range(4):
        await small.round()
        await small.office.pass_time(301)
    assert await small.office.plans.plans() == []
    assert (await small.proposed(Wishes(exact=False))).summary["peak_before"] == pytest.approx(1.12)
    small.demands.cpus = hot | dict.fromkeys(TENANTS[:3], 1.3)
    await small.round()
    plan = next(plan for plan in await small.office.plans.plans() if plan.automatic)
    assert (await small.through(plan)).state == "DONE"
    assert plan.summary["peak_before"] == pytest.approx(3.9 / ((3.9 + 6 * 0.94) / 3))


async def test_what_it_does_can_be_paused_and_stopped(small: World) -> None:
    """Like any other plan; and no other one begins beside it."""
    automatic(small)
    await small.settle("cell-1", *TENANTS)
    await small.round()
    plan = (await small.office.plans.plans())[0]
    await small.office.plans.ask(plan.plan_id, "pause", "ann")
    begun = len(await small.office.stage.desk.moves())
    await small.office.pass_time(301)
    await small.round()
    assert len(await small.office.plans.plans()) == 1
    await small.office.plans.ask(plan.plan_id, "stop", "ann")
    await small.carry()
    await small.round()
    assert (await small.again(plan)).state == "STOPPED"
    assert len(await small.office.stage.desk.moves()) == begun


@pytest.mark.parametrize("paused", [False, True])
async def test_once_it_is_switched_off_its_plan_stops_and_is_in_nobodys_way(small: World, paused: bool) -> None:
    """It would begin nothing, and never end. What is under way arrives."""
    automatic(small)
    await small.settle("cell-1", *TENANTS)
    for _ in range(2):
        await small.round()
    plan = (await small.office.plans.plans())[0]
    begun = len(await small.office.stage.desk.moves())
    if paused:
        await small.office.plans.ask(plan.plan_id, "pause", "ann")
    automatic(small, Limits())
    await small.round()
    assert (await small.again(plan)).state == "STOPPING"
    await small.carry()
    await small.round()
    plan = await small.again(plan)
    assert (plan.state, plan.moved) == ("STOPPED", begun)
    written = [entry for entry in await small.office.log.entries() if entry.action == "stopPlan"]
    assert [(entry.targets, entry.outcome) for entry in written] == [((f"plan/{plan.plan_id}",), "DONE")]
    by_hand = await small.approved(Wishes(start=1.0, stop=1.0))
    await small.round()
    assert (await small.again(by_hand)).state in ("APPROVED", "DONE")


async def test_a_plan_of_an_operator_goes_on_without_it(small: World) -> None:
    """Only what approves of itself depends on the setting."""
    await small.settle("cell-1", *TENANTS)
    assert (await small.through(await small.approved())).state == "DONE"


async def test_the_days_budget_of_moves_is_kept(small: World) -> None:
    """The rest comes the next day."""
    automatic(small, replace(ON, moves=3))
    await small.settle("cell-1", *TENANTS)
    for _ in range(6):
        await small.round()
        await small.carry()
    assert len(await small.office.stage.desk.moves()) == 3
    await small.office.pass_time(86_401)
    for _ in range(6):
        await small.round()
        await small.carry()
    assert len(await small.office.stage.desk.moves()) == 6


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (replace(ON, moves=3), "the budget of 3 moves within 24 hours is used up"),
        (replace(ON, moves=7, bytes=2.5e6), "the budget of 7 moves or 2,500,000 bytes within 24 hours is used up"),
        (replace(ON, quiet=hours_of("00:10-23:50")), "quiet hours have begun"),
    ],
)
async def test_a_plan_that_may_begin_nothing_more_today_ends_and_is_in_nobodys_way(
    small: World, limits: Limits, words: str
) -> None:
    """Once its moves have arrived. An operator's plan is carried out then, a drain at any time; and when it may
    again, another plan of its own is made. (The clock begins at midnight.)"""
    automatic(small, limits)
    await small.settle("cell-1", *TENANTS)
    await small.settle("cell-3", "leaving")
    small.demands.cpus = dict.fromkeys((*TENANTS, "leaving"), 1.0)
    await small.give_capacity(20.0, "cell-1", "cell-2", "cell-3")
    await small.round()
    first = (await small.office.plans.plans())[0]
    begun = len(await small.office.stage.desk.moves())
    assert begun >= 3
    if limits.quiet:
        await small.office.pass_time(1200)
    await small.round()
    assert (await small.again(first)).state == "APPROVED"
    await small.carry()
    await small.round()
    first = await small.again(first)
    assert (first.state, first.moved) == ("DONE", begun)
    assert words in first.error
    by_hand = await small.approved(Wishes(cool_down_seconds=0.0))
    await small.office.stage.truth.change_cell("cell-3", "drain")
    by_hand = await small.through(by_hand)
    assert (by_hand.state, by_hand.automatic) == ("DONE", False)
    [drain] = await small.office.plans.plans(kind="drain")
    assert (await small.through(drain)).state == "DONE"


async def test_the_next_day_another_plan_begins_by_itself(small: World) -> None:
    """From what is so then."""
    automatic(small, replace(ON, moves=3))
    await small.settle("cell-1", *TENANTS)
    for _ in range(4):
        await small.round()
        await small.carry()
        await small.office.pass_time(301)
    [first] = await small.office.plans.plans()
    assert (first.state, first.moved) == ("DONE", 3)
    await small.office.pass_time(86_401)
    await small.round()
    second, _ = await small.office.plans.plans()
    assert (second.automatic, second.state) == (True, "APPROVED")
    assert len(await small.office.stage.desk.moves()) == 6


async def test_the_days_budget_of_bytes_is_kept(small: World) -> None:
    """But for the last move that begins, so that also a large tenant moves some day."""
    small.demands.cpus, small.demands.size = dict.fromkeys(TENANTS, 1.0), 100.0
    automatic(small, replace(ON, bytes=150.0))
    await small.settle("cell-1", *TENANTS)
    for _ in range(6):
        await small.round()
        await small.carry()
    assert len(await small.office.stage.desk.moves()) == 2


async def test_in_quiet_hours_nothing_begins_by_itself(small: World) -> None:
    """Neither a plan nor a further move; what operators approve goes on. (The clock begins at midnight.)"""
    automatic(small, replace(ON, quiet=hours_of("23:00-01:00")))
    await small.settle("cell-1", *TENANTS)
    await small.round()
    assert await small.office.plans.plans() == []
    plan = await small.approved(Wishes(moves_of_a_cell=1))
    await small.round()
    assert len(await small.office.stage.desk.moves()) == 1
    await small.office.plans.ask(plan.plan_id, "stop", "ann")
    await small.carry()
    await small.round()
    await small.office.pass_time(2 * 3600)
    await small.round()
    assert (await small.office.plans.plans())[0].automatic


def test_hours_may_go_over_midnight() -> None:
    """In UTC; the end is not within."""
    night, noon = hours_of("22:00-06:00, 12:00-12:30")
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert [at.replace(hour=hour) in night for hour in (21, 22, 23, 0, 5, 6)] == [
        *(False, True, True, True, True, False),
    ]
    assert at.replace(hour=12, minute=29) in noon
    assert at.replace(hour=12, minute=30) not in noon
    assert str(night) == "22:00-06:00"
    for wrong in ("22:00", "22-", "25:00-26:00", "night"):
        with pytest.raises(ValueError, match=r".+"):
            hours_of(wrong)


def test_moves_begin_in_their_order_as_far_as_budgets_go() -> None:
    """One that waits for its cell is in nobody's way."""

    def move(number: int, source: str, destination: str, size: float = 10.0) -> PlanMove:
        return PlanMove("pl", number, 1, f"t{number}", source, destination, size, "", "waiting", "", "", None)

    waiting = [move(1, "a", "b"), move(2, "a", "c"), move(3, "a", "d"), move(4, "e", "f"), move(5, "g", "h")]

    def numbers(budget: Budget, under_way: int = 0, **flights: int) -> list[int]:
        return [each.number for each in beginning(waiting, under_way, flights, budget)]

    assert numbers(Budget(10, 4)) == [1, 2, 3, 4, 5]
    assert numbers(Budget(10, 2)) == [1, 2, 4, 5]
    assert numbers(Budget(10, 2), a=1) == [1, 4, 5]
    assert numbers(Budget(3, 4), under_way=1) == [1, 2]
    assert numbers(Budget(3, 4), under_way=9) == []
    assert numbers(Budget(10, 4, moves=2)) == [1, 2]
    assert numbers(Budget(10, 4, bytes=25.0)) == [1, 2, 3]
    assert numbers(Budget(10, 4, bytes=0.0)) == []


def test_waves_take_as_long_as_their_slowest_move_or_as_turns_are_waited_for() -> None:
    """Turns of the plan, and of each cell."""

    def wave(*seconds: float) -> list[Stretch]:
        return [Stretch(f"from-{number}", f"to-{number}", each) for number, each in enumerate(seconds)]

    assert seconds_of([wave(10, 20), wave(30)], Budget(2, 1)) == 50
    assert seconds_of([wave(10, 20, 30)], Budget(2, 1)) == 30
    assert seconds_of([wave(10, 10, 10, 10)], Budget(2, 1)) == 20
    assert seconds_of([], Budget(2, 1)) == 0
    out = [Stretch("hot", f"to-{number}", 10.0) for number in range(6)]
    assert seconds_of([out], Budget(10, 2)) == 30
