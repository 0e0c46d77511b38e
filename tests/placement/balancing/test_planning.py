"""Plans: what holds for any of them, and some whose answer is plain."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.balancing import explaining
from placement.balancing.fleet import Fleet
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import Plan, rebalance
from placement.balancing.sites import Needs, Site
from tests.placement.balancing.fleets import fleet, fleets, holds, lose, row

EAGER = Goals(start=1.0, stop=1.0, least_gain=0.0, least_relief_per_gib=0.0)
"""Levels whatever there is to level."""
QUICK = Effort(steps=300, kicks=3, annealing=40)
ALMOST = 1 + 1e-6
ORDER = st.sampled_from([Goals(), EAGER])
EU, US = Site("eu-1", "eu"), Site("us-1", "us")


def two(cpu: list[float], home: list[int], capacity: float = 100.0, **rest: object) -> Fleet:
    """Two equal cells, and tenants that only take CPU."""
    cells = [Site("cell-1", "eu"), Site("cell-2", "eu")]
    return fleet(cells, [holds(capacity)] * 2, [row(each) for each in cpu], home, **rest)  # type: ignore[arg-type]


def check(plan: Plan) -> None:
    """What no plan may break."""
    present = plan.fleet
    # No cell has more than its limits and caps, or, where it had more before, no more than that.
    most = np.maximum(present.limits - present.held, plan.before)
    assert (plan.after <= most * ALMOST + 1e-9).all()
    # Who moves, moves to where it may live; the others stay.
    kinds = present.kind[plan.tenants]
    assert present.enters[kinds, plan.destinations].all()
    assert not present.sites.failed[plan.sources].any()
    stayed = np.setdiff1d(np.arange(len(present.tenants)), plan.tenants)
    assert (plan.where[stayed] == present.home[stayed]).all()
    # What moves already is left alone; what moved lately moves only out of where it may not be.
    assert not present.pinned[plan.tenants].any()
    lately = plan.tenants[present.cooling[plan.tenants]]
    assert np.isin(lately, present.misplaced).all()
    # Nobody is forgotten: whoever was where it may not be is moved, or named.
    assert set(present.misplaced.tolist()) <= {*plan.tenants.tolist(), *plan.homeless.tolist()}
    assert plan.peak >= plan.bound / ALMOST


@settings(max_examples=60, deadline=None)
@given(fleets(), ORDER)
def test_no_plan_breaks_a_hard_rule_a_limit_or_a_cap(present: Fleet, goals: Goals) -> None:
    """Residency, compliance, dedication, versions; capacity with one cell lost; caps; moves in flight."""
    check(rebalance(present, goals, QUICK))


@settings(max_examples=25, deadline=None)
@given(fleets(), st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_no_rule_is_broken_while_cells_are_lost(present: Fleet, lost: list[int]) -> None:
    """One cell after the other fails, and each time the fleet is planned for as the last plan left it."""
    for cell in lost:
        plan = rebalance(present, EAGER, QUICK)
        check(plan)
        present = lose(replace(present, home=plan.where), cell % len(present.sites))
    check(rebalance(present, EAGER, QUICK))


@settings(max_examples=15, deadline=None)
@given(fleets(), st.integers(0, 5))
def test_equal_input_and_seed_give_an_equal_plan(present: Fleet, seed: int) -> None:
    """Two placements that see the same plan the same."""
    first, second = (rebalance(present, EAGER, replace(QUICK, seed=seed)) for _ in range(2))
    assert (first.where == second.where).all()
    assert (first.tenants == second.tenants).all()


@settings(max_examples=15, deadline=None)
@given(fleets(), st.integers(0, 20))
def test_a_plan_that_is_cut_short_is_a_good_one(present: Fleet, calls: int) -> None:
    """Time may be over at any moment."""
    left = iter(range(calls))
    check(rebalance(present, EAGER, QUICK, expired=lambda: next(left, None) is None))


def test_a_hot_cell_gives_what_it_has_too_much_of() -> None:
    """And an operator reads why."""
    plan = rebalance(two([20, 10, 10, 10], [0, 0, 0, 1]))
    assert plan.after[:, 0].tolist() in ([30, 20], [20, 30])
    (told,) = [explaining.move(plan, number) for number in range(len(plan.tenants))]
    assert (told.source, told.destination) == ("cell-1", "cell-2")
    assert "cell-1 has 1.60 × the mean of cpu" in told.reason


def test_what_is_level_enough_is_left_alone() -> None:
    """Levelling begins above 1.15 × the mean only; in between nobody moves, so nobody moves to and fro."""
    plan = rebalance(two([11, 10, 10, 9.5, 9.5, 9.5, 10], [0, 0, 0, 0, 1, 1, 1]), Goals(start=1.2))
    assert not len(plan.tenants)
    assert "level enough" in plan.remarks[0]


def test_an_idle_fleet_is_not_levelled() -> None:
    """Twice of almost nothing is almost nothing."""
    assert not len(rebalance(two([0.2, 0.2, 0.1], [0, 0, 1], capacity=1000.0)).tenants)


def test_the_cheaper_of_two_equal_tenants_moves() -> None:
    """Bytes are what a move costs."""
    plan = rebalance(two([10, 10], [0, 0], carried=[9e9, 1e9]))
    assert plan.tenants.tolist() == [1]


def test_a_drained_cell_is_emptied_though_its_tenants_moved_lately() -> None:
    """The cool-down is for levelling; nobody stays where it may not be."""
    cells = [Site("cell-1", "eu", "draining"), Site("cell-2", "eu")]
    plan = rebalance(fleet(cells, [holds(100)] * 2, [row(5)] * 3, [0, 0, 1], cooling=[0]))
    assert plan.where.tolist() == [1, 1, 1]
    assert explaining.reason(plan, 0) == "cell-1 is draining"


def test_a_drain_does_not_wait_for_measurements() -> None:
    """Who was never measured is named, and moves as everybody does."""
    cells = [Site("cell-1", "eu", "draining"), Site("cell-2", "eu")]
    present = fleet(cells, [holds(100)] * 2, [row(5)] * 2, [0, 1])
    plan = rebalance(replace(present, unmeasured=["tenant-0"]))
    assert plan.where.tolist() == [1, 1]
    assert plan.remarks[-1] == "1 tenants are new: what they took lately counts, else their plans: tenant-0"


def test_a_cordoned_cell_keeps_what_it_has() -> None:
    """It takes nobody, and is not emptied."""
    cells = [Site("cell-1", "eu", "cordoned"), Site("cell-2", "eu"), Site("cell-3", "eu")]
    plan = rebalance(fleet(cells, [holds(100)] * 3, [row(10)] * 6, [0, 0, 1, 1, 1, 1]))
    assert plan.where.tolist()[:2] == [0, 0]
    assert np.bincount(plan.where).tolist() == [2, 2, 2]


def test_nobody_is_put_where_the_law_forbids_it_rather_than_left_out() -> None:
    """A tenant without a possible home is named, with what is in the way."""
    cells = [replace(EU, state="draining"), US]
    plan = rebalance(fleet(cells, [holds(100)] * 2, [row(5)], [0], kinds=[Needs(frozenset({"eu"}))]))
    assert not len(plan.tenants)
    assert explaining.homeless(plan) == ["tenant-0 should move (eu-1 is draining), but no cell may take it"]


def test_a_full_fleet_is_told_from_a_forbidden_one() -> None:
    """What would help is another cell."""
    cells = [Site("cell-1", "eu", "draining"), Site("cell-2", "eu")]
    plan = rebalance(fleet(cells, [holds(100), holds(6)], [row(5), row(5)], [0, 1]))
    assert explaining.homeless(plan) == [
        "tenant-0 should move (cell-1 is draining), but 1 cells would do and have no room"
    ]


@pytest.mark.parametrize(("sites", "remark"), [([], "there is no cell"), ([EU], "there is no tenant")])
def test_an_empty_fleet_has_a_plain_answer(sites: list[Site], remark: str) -> None:
    """No exception, no move."""
    plan = rebalance(fleet(sites, [holds(100)] * len(sites), [], []))
    assert not len(plan.tenants)
    assert plan.remarks == (remark,)


def test_one_cell_is_level_by_itself() -> None:
    """There is nowhere to go."""
    plan = rebalance(fleet([EU], [holds(100)], [row(5), row(6)], [0, 0]), EAGER)
    assert not len(plan.tenants)
    assert plan.peak == pytest.approx(1.0)


def test_caps_keep_top_tenants_apart() -> None:
    """A cell that is lost takes no more of them along than its cap says, whatever the balance."""
    demand = [row(30, top_tier=1), row(10, top_tier=1), row(1), row(1)]
    plan = rebalance(
        fleet([EU, replace(EU, cell_id="eu-2")], [holds(200, top_tier=1)] * 2, demand, [0, 0, 1, 1]), Goals()
    )
    assert (plan.after[:, -1] <= 1).all()


def test_a_cap_of_revenue_keeps_tenants_apart_that_pay_much() -> None:
    """The hot cell gives the one that pays little, though the other would level more."""
    demand = [row(40, revenue=9), row(20, revenue=2), row(30), row(1, revenue=4)]
    cells = [EU, replace(EU, cell_id="eu-2")]
    free = rebalance(fleet(cells, [holds(200), holds(200)], demand, [0, 0, 0, 1]), EAGER)
    assert free.where[0] != free.where[3] or free.after[1, -2] > 8
    plan = rebalance(fleet(cells, [holds(200), holds(200, revenue=8)], demand, [0, 0, 0, 1]), EAGER)
    assert plan.where[0] == 0
    assert plan.after[1, -2] <= 8
    assert len(plan.tenants)


def test_a_cap_of_tenants_is_kept_whatever_the_balance() -> None:
    """A cell with two places takes the two largest that help, and not the five small ones."""
    demand = [row(10)] * 5 + [row(25)] * 2
    cells = [EU, replace(EU, cell_id="eu-2")]
    plan = rebalance(fleet(cells, [holds(200), holds(200, tenants=2)], demand, [0] * 7), EAGER)
    assert plan.after[1, 4] == 2
    assert np.sort(plan.fleet.demand[plan.tenants, 0]).tolist() == [25, 25]


def test_what_is_held_for_others_counts_against_each_cap() -> None:
    """Tenants, revenue, top tier: what is reserved is as good as taken."""
    cells = [EU, replace(EU, cell_id="eu-2")]
    for column, holding in ((4, holds(tenants=1)), (5, holds(revenue=9)), (6, holds(top_tier=1))):
        full = np.zeros((2, 7))
        full[1, column] = holding[column]
        room = [holds(200), np.minimum(holds(200), holding)]
        present = fleet(cells, room, [row(30, revenue=9, top_tier=1), row(30, revenue=9, top_tier=1)], [0, 0])
        assert len(rebalance(present, EAGER).tenants) == 1
        assert not len(rebalance(replace(present, held=full), EAGER).tenants)


def test_a_giant_is_not_moved_in_circles() -> None:
    """It gets a cell to itself; the bound knows of it, so the plan is known to be good."""
    plan = rebalance(two([60, 10, 10], [0, 0, 1]), Goals(start=1.0))
    assert plan.where.tolist() == [0, 1, 1]
    assert plan.gap == pytest.approx(0.0, abs=1e-6)


def test_a_fleet_that_makes_no_sense_is_refused() -> None:
    """Rather than planned for."""
    with pytest.raises(ValueError, match="demand"):
        two([float("nan")], [0])
    with pytest.raises(ValueError, match="home"):
        two([1.0], [2])
