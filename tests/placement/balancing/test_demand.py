"""What tenants are expected to take."""

import numpy as np
import pytest

from placement.balancing.demand import (
    BUCKETS,
    DAYS,
    NIGHTS,
    TIMES,
    Measured,
    at_times,
    bucket_of,
    prior,
    surging,
)
from placement.balancing.goals import Goals
from placement.balancing.planning import rebalance
from placement.balancing.resources import RESOURCES, columns
from placement.balancing.sites import Site
from tests.placement.balancing.fleets import fleet, holds

ONE = np.array([0])


def measured(*values: float, variance: float = 0.0) -> Measured:
    """One tenant, that took so much of everything in the first part of each week."""
    found = Measured.nothing(1)
    for value in values:
        found.observe(0, ONE, np.full((1, 7), value), np.full((1, 7), variance))
    return found


def test_weeks_are_smoothed() -> None:
    """One odd week changes little."""
    expected = measured(10, 10, 13).expected(np.zeros((1, 7)), z=0.0)
    assert expected[0, 0, 0] == pytest.approx(10.9)


def test_who_wavers_takes_more_room() -> None:
    """Mean + z·√variance."""
    steady, wavering = (measured(10, variance=each).expected(np.zeros((1, 7))) for each in (0.0, 9.0))
    assert (steady[0, 0, 0], wavering[0, 0, 0]) == (10.0, 13.0)


def test_who_has_become_another_is_learnt_anew() -> None:
    """Sixty times as much is no wavering, and the old weeks say nothing about it."""
    expected = measured(1, 1, 60).expected(np.zeros((1, 7)))
    assert expected[0, 0, 0] == pytest.approx(60)


def test_a_surge_counts_at_all_hours_at_once() -> None:
    """Nobody waits a week for it; what is usual for the hour is no surge."""
    expected = measured(10).expected(np.zeros((1, 7)))
    assert (surging(expected, np.full((1, 7), 14.0), 0) == 10).all()
    assert (surging(expected, np.full((1, 7), 40.0), 0) == 40).all()


def test_a_surge_at_night_expects_of_the_day_what_the_last_one_has_shown() -> None:
    """Otherwise a tenant that has grown since yesterday would look small each night, and large each noon."""
    usual = np.tile([4.0, 10.0], BUCKETS // 2)  # nights and days
    learnt = Measured.nothing(1)
    for part, value in enumerate(usual):
        learnt.observe(part, ONE, np.full((1, 7), value), np.zeros((1, 7)))
    learnt.observe(1, ONE, np.full((1, 7), 600.0), np.zeros((1, 7)))
    grown = surging(learnt.expected(np.zeros((1, 7))), np.full((1, 7), 240.0), 2)
    assert (grown[0, 2::2] == 240).all()
    assert (grown[0, 3::2] == 600).all()


def test_the_flanks_of_a_day_are_no_surge() -> None:
    """Where a part of the week meets a busier one, usual is what lies between: also for what lags behind."""
    expected = np.tile(np.array([6.0, 12.0])[None, :, None], (1, BUCKETS // 2, 7))
    for part, through in ((0, 0.98), (0, 0.02)):
        assert (surging(expected, np.full((1, 7), 10.0), part, through) == expected).all()
    assert (surging(expected, np.full((1, 7), 10.0), 0, 0.5)[0, 0] == 10).all()


def test_a_surge_is_seen_where_parts_of_the_week_meet() -> None:
    """Also when the part before was learnt since it began; and it is as large as it is, wherever the flank is."""
    expected = np.tile(np.array([4.0, 8.0])[None, :, None], (1, BUCKETS // 2, 7))
    expected[:, 1] = 800.0
    grown = surging(expected, np.full((1, 7), 600.0), 2, 0.0)
    assert (grown[0, 2::2] == 400).all()
    assert (grown[0, 3::2] == 800).all()


def test_what_was_learnt_since_a_surge_began_is_right_as_it_is() -> None:
    """Otherwise the nights of a tenant that has grown would be taken for as busy as its days."""
    expected = np.tile(np.array([4.0, 8.0])[None, :, None], (1, BUCKETS // 2, 7))
    expected[:, :6] *= 60.0
    expected[:, 36:] *= 0.6
    grown = surging(expected, np.full((1, 7), 240.0), 6)
    assert (grown[:, :6] == expected[:, :6]).all()
    assert (grown[0, 6:30:2] == 240).all()
    assert (grown[0, 7:30:2] == 480).all()
    assert grown[0, 36:38, 0].tolist() == [pytest.approx(144), pytest.approx(288)]
    expected[:, 30:36] *= 60.0  # Friday's midnight is when a week ago it began: then a weekend is learnt
    expected[:, 36:41] *= 60.0
    grown = surging(expected, np.full((1, 7), 288.0), 41)
    assert (grown[:, 30:41] == expected[:, 30:41]).all()


def test_who_was_never_measured_is_reckoned_with_its_plan() -> None:
    """And is named."""
    nothing = Measured.nothing(1)
    assert nothing.unmeasured().tolist() == [True]
    assert (nothing.expected(prior("premium")[None])[0] == prior("premium")).all()
    assert (prior("of another version") == prior("standard")).all()


def test_the_week_has_its_parts() -> None:
    """Monday at midnight begins it, and after Sunday it begins again."""
    assert [bucket_of(hour) for hour in (0, 3.9, 4, 167.9, 168)] == [0, 0, 1, BUCKETS - 1, 0]


def test_tenants_that_are_busy_at_different_hours_share_a_cell() -> None:
    """Two by day in one cell and two by night in the other: by their sums alone nothing would be wrong."""
    wide = columns(TIMES)
    expected = np.zeros((4, BUCKETS, len(RESOURCES)))
    expected[:, :, RESOURCES.index("tenants")] = 1.0
    expected[:2, 2::6, 0] = expected[:2, 3::6, 0] = 30.0
    expected[2:, 0::6, 0] = expected[2:, 1::6, 0] = 30.0
    demand = at_times(expected)
    assert demand[0, wide.names.index(f"cpu {DAYS}")] == 30.0
    assert demand[0, wide.names.index(f"cpu {NIGHTS}")] == 0.0
    cells = [Site("cell-1", "eu"), Site("cell-2", "eu")]
    present = fleet(cells, wide.spread(np.array([holds(200)] * 2)), demand, [0, 0, 1, 1], columns=wide)
    where = rebalance(present, Goals()).where.tolist()
    assert sorted([where[:2], where[2:]]) in ([[0, 1], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [1, 0]])
