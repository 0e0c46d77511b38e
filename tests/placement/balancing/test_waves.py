"""Plans in waves: while a tenant moves it counts in both of its cells."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.balancing.fleet import Fleet
from placement.balancing.goals import Goals
from placement.balancing.planning import rebalance
from placement.balancing.sites import Site
from placement.balancing.waves import Pace, in_waves
from tests.placement.balancing.fleets import fleet, fleets, holds, row
from tests.placement.balancing.test_planning import ALMOST, EAGER, QUICK, two

PACES = st.builds(Pace, st.integers(1, 3), st.integers(1, 3), st.integers(1, 6))


@settings(max_examples=50, deadline=None)
@given(fleets(), PACES)
def test_no_wave_overfills_a_cell_or_goes_beyond_its_pace(present: Fleet, pace: Pace) -> None:
    """Also with everybody who leaves in the wave still there. Each move is in one wave, or stuck."""
    plan = rebalance(present, EAGER, QUICK)
    waves = in_waves(plan, pace)
    load = plan.before + present.held
    for wave in waves.waves:
        before = load.copy()
        np.add.at(load, plan.destinations[wave], present.demand[plan.tenants[wave]])
        assert (load <= np.maximum(present.capacity, before) * ALMOST + 1e-9).all()
        np.subtract.at(load, plan.sources[wave], present.demand[plan.tenants[wave]])
        assert np.bincount(plan.sources[wave]).max() <= pace.leave
        assert np.bincount(plan.destinations[wave]).max() <= pace.come
        assert 0 < len(wave) <= pace.all
    every = np.concatenate([*waves.waves, waves.stuck]).astype(np.int64)
    assert sorted(every.tolist()) == list(range(len(plan.tenants)))


def test_what_must_leave_goes_first() -> None:
    """A drain does not wait for levelling."""
    cells = [Site("cell-1", "eu", "draining"), Site("cell-2", "eu"), Site("cell-3", "eu")]
    demand = [row(5), *[row(10)] * 4]
    plan = rebalance(fleet(cells, [holds(200)] * 3, demand, [0, 1, 1, 1, 1]))
    first = in_waves(plan, Pace(all=1)).waves[0]
    assert plan.tenants[first].tolist() == [0]


def test_two_full_cells_exchange_tenants_one_after_the_other() -> None:
    """Whoever has room for both for a moment takes first."""
    plan = rebalance(two([30, 30, 10, 10], [0, 0, 1, 1], capacity=91.0), Goals(start=1.0, stop=1.0))
    assert plan.after[:, 0].tolist() == [40, 40]
    assert not len(in_waves(plan).stuck)
