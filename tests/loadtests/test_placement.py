"""Plans beside proved optima, at a size for every day; `make bench-placement` has the full one."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtests.placement import __main__ as bench
from loadtests.placement import greedy, optima
from loadtests.placement.instances import uneven
from loadtests.placement.picture import Mark, draw
from loadtests.router.errors import CannotMeasure
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import rebalance


def test_small_plans_are_as_good_as_the_proved_optimum() -> None:
    """Within 2 %, all limits kept; these few with a quarter of the patience that is measured."""
    found = optima.compare(4, replace(optima.PATIENT, anneals=1))
    assert found["optima_within_2_percent"] == 4


def test_a_thousand_tenants_are_levelled_close_to_the_bound() -> None:
    """With the programs, and by local search alone."""
    fleet = uneven(1000, 10)
    for exact in (True, False):
        plan = rebalance(fleet, Goals(start=1.0, stop=1.02), Effort(exact=exact))
        assert round(plan.gap, 4) <= 0.02
        assert (plan.after <= fleet.limits * (1 + 1e-6)).all()


def test_a_greedy_rebalancer_levels_its_one_number() -> None:
    """As it is measured beside: what it counts is level then, or nothing that it could move helps."""
    fleet = uneven(500, 5)
    size = (fleet.demand[:, :5] / fleet.demand[:, :5].sum(axis=0)).mean(axis=1)
    before, after = (np.bincount(where, size, 5) for where in (fleet.home, greedy.rebalance(fleet, 5.0)))
    assert after.max() / after.mean() <= 1 + greedy.THRESHOLD < before.max() / before.mean()


def test_a_peer_that_is_not_there_is_no_figure(tmp_path: Path) -> None:
    """Nor is one without OR-tools: that it found nothing would be said of it otherwise."""
    with pytest.raises(CannotMeasure, match="there is no"):
        bench.require(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/false")
    with pytest.raises(CannotMeasure, match="no OR-tools"):
        bench.require(tmp_path)


def test_a_goal_that_is_missed_is_told_and_one_that_was_not_measured_is_not() -> None:
    """With the figure."""
    assert bench.missed({"choose_p50_ms": 1.0, "plan_10k_gap": 0.05}) == [
        "plan_10k_gap is 0.05, and should be <= 0.02"
    ]


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
    drawn = re.findall(r'<path d="([^"]*)"', picture)
    assert [path.count("M") for path in drawn] == [2, 1, 1]  # two cells, and the moves
    assert "cell-1 is lost" in picture
