"""A plan in waves: what moves together. A tenant that moves takes from both of its cells until its wave is over.

In each wave a cell gives and takes a few tenants at most, and never holds more than it is able to: not even when
everybody who leaves it in this wave is still there, and everybody who comes already is. As long as there is such a
move, none brings a cell above its limits, or above the worst ratio that the plan ends with: so a plan that is made
anew after some waves never finds worse than before. Only when cells must exchange tenants, and none can go first,
is what they keep free used for one wave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.balancing.layout import ROUNDING
from placement.balancing.planning import Plan
from placement.balancing.resources import Floats, Integers


@dataclass(frozen=True, slots=True)
class Pace:
    """How many tenants may leave a cell, come to it, and move in all, in one wave."""

    leave: int = 4
    come: int = 4
    all: int = 200


@dataclass(frozen=True, slots=True)
class Waves:
    """Which moves (by their places in the plan) make up each wave; `stuck` ones find no room on their way."""

    waves: Sequence[Integers]
    stuck: Integers


def in_waves(plan: Plan, pace: Pace | None = None) -> Waves:
    """Every move in the first wave that has room for it; the most urgent are asked first."""
    pace = pace or Pace()
    fleet = plan.fleet
    load = plan.before + fleet.held
    level = np.minimum(fleet.limits, plan.ideal * max(plan.peak, 1.0))
    rooms = [room * (1 + ROUNDING) for room in (level, fleet.limits, fleet.capacity)]
    waves: list[Integers] = []
    left = list(range(len(plan.tenants)))
    while left:
        wave = next((found for room in rooms if (found := _wave(plan, load, room, pace, left))), None)
        if wave is None:
            break
        moves = np.array(wave, dtype=np.int64)
        np.subtract.at(load, plan.sources[moves], fleet.demand[plan.tenants[moves]])
        taken = set(wave)
        left = [move for move in left if move not in taken]
        waves.append(moves)
    return Waves(waves, np.array(left, dtype=np.int64))


def _wave(plan: Plan, load: Floats, room: Floats, pace: Pace, left: Sequence[int]) -> list[int]:
    """The moves of one wave; what comes is added to `load` at once."""
    cells = len(load)
    leaving, coming = [0] * cells, [0] * cells
    sources, destinations = plan.sources.tolist(), plan.destinations.tolist()
    demand = plan.fleet.demand
    wave: list[int] = []
    for move in left:
        source, destination = sources[move], destinations[move]
        if leaving[source] >= pace.leave or coming[destination] >= pace.come:
            continue
        takes = demand[plan.tenants[move]]
        after = load[destination] + takes
        if not ((after <= room[destination]) | (takes == 0)).all():
            continue
        load[destination] = after
        leaving[source] += 1
        coming[destination] += 1
        wave.append(move)
        if len(wave) >= pace.all:
            break
    return wave
