"""Plans beside proved optima, at a size for every day; `make bench-placement` has the full one."""

import numpy as np

from loadtests.placement import optima
from loadtests.placement.instances import uneven
from loadtests.placement.picture import Mark, draw
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import rebalance


def test_small_plans_are_as_good_as_the_proved_optimum() -> None:
    """Within 2 %, all limits kept."""
    found = optima.compare(4)
    assert found["optima_within_2_percent"] == 4


def test_a_thousand_tenants_are_levelled_close_to_the_bound() -> None:
    """With the programs, and by local search alone."""
    fleet = uneven(1000, 10)
    for exact in (True, False):
        plan = rebalance(fleet, Goals(start=1.0, stop=1.02), Effort(exact=exact))
        assert plan.gap <= 0.021
        assert (plan.after <= fleet.limits * (1 + 1e-6)).all()


def test_regions_are_levelled_each_for_itself() -> None:
    """Half of the tenants may not leave theirs."""
    fleet = uneven(1000, 12, regions=3)
    plan = rebalance(fleet, Goals())
    assert plan.peak <= 1.0901
    assert fleet.enters[fleet.kind, plan.where].all()


def test_a_picture_is_drawn() -> None:
    """A line for each cell, interrupted where it held nothing."""
    ratios = {"cpu": np.array([[1.0, 1.2], [np.nan, 1.1], [1.0, 1.0], [1.0, 1.0]])}
    picture = draw("A week", np.arange(4.0), ratios, np.zeros(4), [Mark(1.0, "cell-1 is lost")])
    assert picture.count("<polyline") == 2 + 1 + 1
    assert "cell-1 is lost" in picture
