"""Seven days of load, simulated: what placement plans every hour, and what becomes of the cells. `make simulate`.

    python -m loadtests.placement.week [--tenants 2000] [--cells 20]

Two weeks of the same fleet, each after one in which its load was learnt. In the *real-looking* one tenants follow
days and weekends of two continents, grow, waver; on the third day one of them explodes, on the fifth a cell is
lost, and hours later it comes back to be evacuated. In the *steady* one nothing happens, and nobody may be moved.
A move takes a quarter of an hour and counts at both ends. Writes results/simulation.json and two pictures; 1 when
a goal is missed.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from directory.values import CellState
from loadtests.placement.instances import uneven
from loadtests.placement.picture import Mark, draw
from placement.balancing.demand import (
    BUCKET_HOURS,
    BUCKETS,
    HOURS,
    TIMES,
    Measured,
    at_times,
    bucket_of,
    surging,
)
from placement.balancing.fleet import Fleet, sums
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import Plan, rebalance
from placement.balancing.resources import LEVELLED, RESOURCES, Floats, Integers, columns
from placement.balancing.sites import Rule, Sites
from placement.balancing.waves import Pace, in_waves

RESULTS = Path(__file__).parents[1] / "results"
STEPS_AN_HOUR = 4
COOL_DOWN_HOURS = 72.0
PACE = Pace(leave=2, come=2, all=20)
WIDE = len(LEVELLED)
EXPLODES_AT, EXPLODES_FOR, EXPLODES_BY, EXPLODES_TO = 54.0, 2.0, 60.0, 0.25
"""Hours into the week, over how many, to how many times its load, and to which share of a cell."""
LOST_AT, BACK_AT = 98.0, 101.0
BUSY = 0.6
"""Of what the fleet's tenants take on average: at noon it is 1.6 times as much."""
GROWTH = 0.10
"""In the week, on average; tenants differ by as much."""
WAVERS = 0.10
SETTLING_HOURS = 12.0
"""After something happened bounds may be left for so long."""
WORST, WORST_SETTLED = 1.6, 1.25
GOALS: Mapping[str, float] = {
    "steady_moves": 0, "moved_twice": 2, "violations": 0, "overfilled": 0, "worst_settled": WORST_SETTLED,
    "quiet_day_share": 0.01,
}  # fmt: skip


@dataclass
class World:
    """What really happens, hour by hour; placement only measures it."""

    fleet: Fleet
    eventful: bool
    rng: np.random.Generator
    east: Integers = field(init=False)
    growth: Floats = field(init=False)
    exploding: int = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.fleet.tenants)
        self.east = self.rng.integers(0, 2, count)
        self.growth = self.rng.normal(GROWTH, GROWTH, count) if self.eventful else np.zeros(count)
        share = (self.fleet.demand / self.fleet.capacity[0])[:, [0, 3]].max(axis=1)
        self.exploding = int(np.argmin(np.abs(share - EXPLODES_TO / EXPLODES_BY)))

    def load(self, hour: float) -> Floats:
        """tenants × RESOURCES at this hour; the week before has negative ones."""
        local = hour + 8.0 * self.east
        daily = 1.0 + 0.6 * np.sin((local % 24 - 9.0) / 24 * 2 * np.pi)
        curve = daily * np.where(local % HOURS >= 120, 0.6, 1.0)
        found = self.fleet.demand.copy()
        busy = curve[:, None] * self.rng.lognormal(0.0, WAVERS, (len(found), 2))
        found[:, [0, 3]] *= busy * BUSY
        found[:, 1] *= 0.9
        grown = 1.0 + self.growth * max(0.0, hour) / HOURS
        found[:, :4] *= grown[:, None]
        if self.eventful and hour >= EXPLODES_AT:
            more = min(1.0, (hour - EXPLODES_AT) / EXPLODES_FOR) * (EXPLODES_BY - 1.0)
            found[self.exploding, [0, 3]] *= 1.0 + more
        return found


@dataclass
class Week:
    """What was seen."""

    hours: list[float] = field(default_factory=list)
    ratios: list[Floats] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)
    moved: Counter[int] = field(default_factory=Counter)
    evacuated: int = 0
    violations: int = 0
    overfilled: int = 0
    marks: list[Mark] = field(default_factory=list)


def learnt(world: World) -> Measured:
    """A week of measurements before the one that counts."""
    count = len(world.fleet.tenants)
    measured = Measured.nothing(count)
    for bucket in range(BUCKETS):
        hours = bucket * BUCKET_HOURS + np.arange(BUCKET_HOURS) - HOURS
        seen = np.stack([world.load(float(hour)) for hour in hours])
        measured.observe(bucket, np.arange(count), seen.mean(axis=0), seen.var(axis=0))
    return measured


def simulate(fleet: Fleet, eventful: bool, seed: int = 7) -> Week:
    """The week, from a fleet that is planned for once before it begins."""
    world = World(fleet, eventful, np.random.default_rng(seed))
    measured, week = learnt(world), Week()
    wide = columns(TIMES)
    count = len(fleet.tenants)
    prior = np.zeros((count, len(RESOURCES)))
    seen = replace(fleet, columns=wide, capacity=wide.spread(fleet.capacity), held=np.zeros((0, 0)),
                   demand=at_times(measured.expected(prior)))  # fmt: skip
    seen = replace(seen, home=rebalance(seen, Goals(start=1.0, stop=1.03)).where)
    recent = world.load(0.0)
    moved_at = np.full(count, -np.inf)
    waves: list[tuple[Integers, Integers]] = []
    sums_of: list[Floats] = []
    for step in range(HOURS * STEPS_AN_HOUR):
        hour = step / STEPS_AN_HOUR
        seen = _happened(seen, hour, eventful, week)
        actual = world.load(hour)
        sums_of.append(actual)
        recent += 0.3 * (actual - recent)
        if hour % BUCKET_HOURS == BUCKET_HOURS - 1 / STEPS_AN_HOUR:
            part = np.stack(sums_of)
            measured.observe(bucket_of(hour), np.arange(count), part.mean(axis=0), part.var(axis=0))
            sums_of.clear()
        if step % STEPS_AN_HOUR == 0:
            expected = measured.expected(prior)
            demand = at_times(surging(expected, recent, bucket_of(hour)))
            seen = replace(seen, demand=demand, cooling=hour - moved_at < COOL_DOWN_HOURS)
            plan = rebalance(seen, Goals(), Effort(seed=step, exact=False, kicks=0))
            waves = _ordered(plan)
        gone = 0
        if waves:
            tenants, to = waves.pop(0)
            gone = len(tenants)
            forced = np.isin(tenants, seen.misplaced)
            week.overfilled += _overfilled(seen, tenants, to)
            week.moved.update(tenants[~forced].tolist())
            week.evacuated += int(forced.sum())
            moved_at[tenants] = hour
            home = seen.home.copy()
            home[tenants] = to
            seen = replace(seen, home=home)
        week.hours.append(hour)
        week.moves.append(gone)
        _look(seen, actual, week)
    return week


def _happened(seen: Fleet, hour: float, eventful: bool, week: Week) -> Fleet:
    """What operators and fate do."""
    lost = len(seen.sites) // 2
    if not eventful:
        return seen
    if hour == EXPLODES_AT:
        week.marks.append(Mark(hour, "a tenant explodes"))
    if hour == LOST_AT:
        week.marks.append(Mark(hour, f"{seen.sites.names[lost]} is lost"))
        return _in_state(seen, lost, "failed")
    if hour == BACK_AT:
        week.marks.append(Mark(hour, "it is back, and evacuated"))
        return _in_state(seen, lost, "draining")
    return seen


def _in_state(seen: Fleet, cell: int, state: CellState) -> Fleet:
    sites = list(seen.sites.sites)
    sites[cell] = replace(sites[cell], state=state)
    return replace(seen, sites=Sites(sites))


def _ordered(plan: Plan) -> list[tuple[Integers, Integers]]:
    return [(plan.tenants[wave], plan.destinations[wave]) for wave in in_waves(plan, PACE).waves]


def _overfilled(seen: Fleet, tenants: Integers, to: Integers) -> int:
    """Cells and resources beyond their capacity or cap because of who comes, while nobody has left yet."""
    before = seen.loads(seen.home)
    during = before + sums(to, seen.demand[tenants], len(before))
    return int(((during > seen.capacity * (1 + 1e-6)) & (during > before)).sum())


def _look(seen: Fleet, actual: Floats, week: Week) -> None:
    """How each open cell's load is to the mean of its pool at this moment, and whether a rule is broken."""
    load, found = sums(seen.home, actual, len(seen.sites))[:, :WIDE], np.full((len(seen.sites), WIDE), np.nan)
    for pool in range(seen.sites.pools.max() + 1):
        inside = seen.sites.pools == pool
        found[inside] = load[inside] / load[inside].mean(axis=0)
    week.ratios.append(found)
    wrong = [seen.sites.broken(needs, arriving=False) for needs in seen.kinds]
    rules = np.stack(wrong)[seen.kind, seen.home]
    week.violations += int(((rules > 0) & (rules < Rule.STATE)).sum())


def judged(week: Week, tenants: int) -> dict[str, Any]:
    """Figures of a week. A ratio is of an hour's mean: of a quarter of an hour, much is chance."""
    ratios = hourly(week)
    worst = np.nanmax(ratios, axis=(1, 2))
    hours = np.arange(len(worst))
    calm = np.ones(len(worst), dtype=np.bool_)
    for mark in week.marks:
        calm &= (hours < mark.hour) | (hours > mark.hour + SETTLING_HOURS)
    days = np.array(week.moves).reshape(7, -1).sum(axis=1)
    # Days on which nothing happened; on the others many moves are what is wanted.
    quiet = np.setdiff1d(np.arange(7), [int(mark.hour // 24) for mark in week.marks])
    return {
        "moves": int(days.sum()),
        "moves_by_day": days.tolist(),
        "quiet_day_share": round(float(days[quiet].max()) / tenants, 5),
        "evacuated": week.evacuated,
        "moved_twice": sum(times > 1 for times in week.moved.values()),
        "violations": week.violations,
        "overfilled": week.overfilled,
        "worst": round(float(worst.max()), 3),
        "worst_settled": round(float(worst[calm].max()), 3),
        "worst_by_resource": {
            name: round(float(np.nanmax(ratios[calm][:, :, at])), 3) for at, name in enumerate(LEVELLED)
        },
    }


def hourly(week: Week) -> Floats:
    """hours × cells × LEVELLED."""
    rows = np.stack(week.ratios)
    return rows.reshape(HOURS, STEPS_AN_HOUR, *rows.shape[1:]).mean(axis=1)  # type: ignore[no-any-return]


def main() -> int:
    """Simulate, draw, write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=2000)
    parser.add_argument("--cells", type=int, default=20)
    options = parser.parse_args()
    fleet = uneven(options.tenants, options.cells, regions=2)
    found: dict[str, Any] = {}
    for name, eventful in (("real-looking", True), ("steady", False)):
        week = simulate(fleet, eventful)
        found[name] = judged(week, options.tenants)
        rows = hourly(week)
        picture = draw(
            f"Seven days, {name}: {options.tenants} tenants in {options.cells} cells of two regions",
            np.arange(HOURS, dtype=float),
            {each: rows[:, :, at] for at, each in enumerate(LEVELLED)},
            np.array(week.moves, dtype=float).reshape(HOURS, -1).sum(axis=1),
            week.marks,
        )
        (RESULTS / f"simulation-{name}.svg").write_text(picture, encoding="utf-8")
        print(name, json.dumps(found[name]), flush=True)
    eventful_week = found["real-looking"]
    figures = {**eventful_week, "steady_moves": found["steady"]["moves"]}
    missed = [
        f"{name} is {figures[name]}, and should be at most {most}"
        for name, most in GOALS.items()
        if figures[name] > most
    ]
    told = {"tenants": options.tenants, "cells": options.cells, **found, "goals": GOALS}
    (RESULTS / "simulation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for each in missed:
        print(f"MISSED: {each}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
