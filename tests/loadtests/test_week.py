"""A week of what the service does by itself, small enough for every day; `make simulate` has the large one."""

import numpy as np

from directory.loads import MEASURED, Reading
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.rules.periods import period_of
from directory.values import NewCell, NewTenant
from loadtests.placement.instances import uneven
from loadtests.placement.week import GOALS, judged, simulate
from loadtests.placement.world import MONDAY, Learning
from placement.rules.measuring import usual
from runtime.clock import ManualClock

TENANTS, CELLS = 160, 5
LOOK_SECONDS = 900.0
"""Load wavers from quarter to quarter of an hour, so whoever looks more often sees little else."""


def test_a_steady_week_moves_nobody() -> None:
    """Day and night, weekends and wavering are no reason."""
    week = simulate(uneven(TENANTS, CELLS), False, round_seconds=LOOK_SECONDS)
    assert sum(week.moves) == 0


def test_an_eventful_week_keeps_its_goals() -> None:
    """A tenant explodes, a cell of five is lost and drained: bounds are kept but for a few hours.

    Who was moved is moved again only when three days are over, or because it must.
    """
    told = judged(simulate(uneven(TENANTS, CELLS), True, round_seconds=LOOK_SECONDS), TENANTS)
    assert told["evacuated"] > 0
    assert (told["violations"], told["overfilled"]) == (0, 0)
    assert told["moved_twice"] <= TENANTS / 20
    assert told["worst_settled"] <= GOALS["worst_settled"]


async def test_loads_are_learnt_as_the_directory_keeps_them() -> None:
    """Rates that are smoothed, and parts of the week that end: the same numbers."""
    tenants, seconds, clock = ["acme", "bolt", "carl"], 600.0, ManualClock(MONDAY)
    directory = MemoryDirectory(clock)
    await directory.register_cell(NewCell("cell-1", "eu", "http://a:1", "http://a:2", 10))
    await directory.change_cell("cell-1", "open")
    for name in tenants:
        await directory.create_tenant(NewTenant(name, name), "cell-1")
    loads, learning = MemoryLoads(directory), Learning(tenants, np.ones(3))
    rng, counted, everybody = np.random.default_rng(3), np.zeros((3, 2)), np.ones(3, dtype=np.bool_)
    for number in range(60):
        taken = rng.lognormal(0.0, 0.3, (3, len(MEASURED))) * (1.0, 1e6, 1e7, 1e4)
        now = period_of(clock.now())
        ended = await loads.ended(now)
        await loads.close(ended, *usual(ended), now)
        if number:
            counted += seconds * taken[:, [0, 3]] / (1, 8)
            learning.measure(taken, seconds, clock.now(), everybody)
        nothing = [0.0] * 3
        await loads.measure(
            Reading(
                *("cell-1", "start", number * seconds, tenants, counted[:, 0].tolist(), counted[:, 1].tolist()),
                *(nothing, nothing, nothing, taken[:, 1].tolist(), taken[:, 2].tolist(), nothing, nothing),
            ),
            clock.now(),
        )
        clock.advance(seconds)
    page = await loads.page()
    np.testing.assert_allclose(learning.recent[:, : len(MEASURED)], page.recent)
    np.testing.assert_allclose(learning.usual.mean, page.mean, rtol=1e-5)
    np.testing.assert_allclose(learning.usual.variance, page.variance, rtol=1e-4)
    assert np.isfinite(page.mean).any()
