"""Runs that never were, made up to look at their pages: `python -m tests.loadtests.sample_runs FOLDER`.

Nothing here was measured. The target of each says so, and so does its only note.
"""

import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.scenarios.report import one, page

NOTE = "Made up to look at this page: nothing of it was measured."
CELLS = ("cell-1", "cell-2", "cell-3")
MIX = {"read": 0.7, "create": 0.2, "job": 0.08, "stream": 0.02}
GOAL = ("name", "says", "figure", "bound", "sense", "unit", "passed")
Fault = tuple[float, float | None, str, str | None]
Goal = tuple[str, float | None, str, float, str]


def sample(
    scenario: str = "cell_loss",
    title: str = "A cell is lost",
    proves: str = "A cell that dies takes nobody but its own tenants with it, and they are told at once.",
    *,
    seconds: int = 60,
    faults: Iterable[Fault] = ((20.0, 40.0, "cell-2: API, workers, Postgres and Redis killed", "cell-2"),),
    goals: Iterable[Goal] = (
        ("Tenants of other cells see no error", 0, "<=", 0, "requests"),
        ("p99 of the other cells, to that before", 1.04, "<=", 1.1, "×"),
        ("The lost cell serves again after", 3.4, "<=", 10, "s"),
    ),
    rate: float = 150.0,
    slow: float = 1.0,
    loses: float = 1.0,
) -> dict[str, Any]:
    """A run in which faults with a cell slow it `slow` times, and make it fail that share of its requests."""
    rng, faults, goals = np.random.default_rng(zlib.crc32(scenario.encode())), list(faults), list(goals)
    cells = {cell: _series(rng, cell, seconds, rate / len(CELLS), faults, slow, loses) for cell in CELLS}
    operations = {name: _series(rng, name, seconds, rate * share, [], 1.0, 0.0) for name, share in MIX.items()}
    requests = sum(sum(each["requests"]) for each in cells.values())
    failed = sum(sum(each["failed"]) for each in cells.values())
    passed = [
        figure is not None and (figure <= bound if sense == "<=" else figure >= bound)
        for _, figure, sense, bound, _ in goals
    ]
    return {
        "scenario": scenario,
        "title": title,
        "proves": proves,
        "began": "2026-01-01T00:00:00Z",
        "seconds": float(seconds),
        "machine": {"processor": "A made-up processor", "cores": 2, "kernel": "6.1", "system": "Linux"},
        "target": "nothing: made up",
        "seed": 1,
        "load": {"rate": rate, "tenants": 60, "zipf": 1.1, "mix": MIX},
        "goals": [
            dict(zip(GOAL, (f"goal_{number}", says, figure, bound, sense, unit, met), strict=True))
            for number, ((says, figure, sense, bound, unit), met) in enumerate(zip(goals, passed, strict=True))
        ],
        "faults": [
            {"from_second": begin, "until_second": until, "what": what, "cell": cell}
            for begin, until, what, cell in faults
        ],
        "totals": {"requests": requests, "failed": failed, "p50_ms": 4.1, "p99_ms": 31.0, "max_ms": 410.0 * slow},
        "series": {"step_seconds": 1.0, "cells": cells, "operations": operations},
        "notes": [NOTE],
        "passed": all(passed),
    }


def samples() -> list[dict[str, Any]]:
    """One of each scenario; one of them misses a goal."""
    nobody: Goal = ("No request fails", 0, "<=", 0, "requests")
    return [
        sample(
            "steady",
            "Steady load",
            "Tenants that ask steadily are answered quickly.",
            faults=(),
            goals=(nobody, ("p99", 31.2, "<=", 100, "ms")),
        ),
        sample(
            "noisy_neighbour",
            "A noisy neighbour",
            "One tenant's flood is refused, and nobody else is slower.",
            faults=((15.0, 45.0, "one tenant asks 20 times as much", "cell-1"),),
            slow=6.0,
            loses=0.4,
            goals=(
                ("p99 of the others, to that before", 1.1004, "<=", 1.1, "×"),
                ("The others see no error", 0, "<=", 0, "requests"),
            ),
        ),
        sample(),
        sample(
            "live_move",
            "A live move",
            "A tenant moves to another cell while it is used, without an error.",
            faults=((22.0, 24.5, "the busiest tenant moves from cell-1 to cell-3", None),),
            goals=(nobody, ("The longest that a request was held", 212, "<=", 1000, "ms")),
        ),
        sample(
            "move_storm",
            "A storm of moves",
            "Twenty tenants move at once, without an error.",
            faults=[(10.0 + 2 * at, 12.5 + 2 * at, "a tenant moves", None) for at in range(20)],
            goals=(nobody, ("Moves that were finished", 20, ">=", 20, "moves")),
        ),
        sample(
            "evacuate_under_load",
            "A cell is drained",
            "All tenants leave a cell while they are used.",
            faults=((10.0, 41.0, "cell-3 is drained", "cell-3"),),
            slow=1.6,
            loses=0.0,
            goals=(nobody, ("Tenants left in the cell", 0, "<=", 0, "tenants")),
        ),
        sample(
            "router_restart",
            "A router is killed",
            "A router dies and comes back; the other one serves.",
            faults=((20.0, 20.0, "router-1 is killed", None), (26.0, 26.0, "router-1 is back", None)),
            goals=(nobody,),
        ),
        sample(
            "directory_outage",
            "The directory is away",
            "Routers serve all they know without the directory.",
            seconds=720,
            faults=((60.0, 660.0, "control database, Redis and Consul stopped", None),),
            goals=(nobody, ("The outage lasted", 600, ">=", 600, "s")),
        ),
        sample(
            "onboarding_rush",
            "A rush of customers",
            "Two hundred customers come within a minute.",
            faults=((5.0, None, "200 customers are onboarded", None),),
            goals=(("Customers onboarded", 200, ">=", 200, ""), ("p99 of an onboarding", 812, "<=", 2000, "ms")),
        ),
        sample(
            "overload_10x",
            "Ten times too much",
            "What is too much is refused; what is served is quick.",
            faults=((20.0, 40.0, "ten times the load", None),),
            rate=1500.0,
            goals=(
                ("p99 of what was served", 240, "<=", 500, "ms"),
                ("Refusals that say when to come back", 1.0, ">=", 1.0, "of all"),
            ),
        ),
        sample(
            "router_rolling_upgrade",
            "Routers are upgraded",
            "Routers are replaced one by one.",
            faults=(
                (15.0, 22.0, "router-1 drains and is replaced", None),
                (30.0, 37.0, "router-2 drains and is replaced", None),
            ),
            goals=(nobody,),
        ),
    ]


def _series(
    rng: np.random.Generator, name: str, seconds: int, rate: float, faults: list[Fault], slow: float, loses: float
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"requests": [], "failed": [], "p50_ms": [], "p99_ms": []}
    spans = [(begin, seconds if until is None else until) for begin, until, _, cell in faults if cell == name]
    for second in range(seconds):
        hit = any(begin <= second < until for begin, until in spans)
        # Clients of a cell that is lost back off, so that in some seconds nobody asks.
        away = hit and loses == 1.0
        asked = 0 if away and rng.random() < 0.4 else int(rng.poisson(rate))
        p50 = 4.0 * rng.lognormal(0.0, 0.06) * (slow if hit else 1.0)
        p99 = p50 * (4.0 + 3.0 * rng.random() ** 3) * (40.0 if away else 1.0)
        found["requests"].append(asked)
        found["failed"].append(round(asked * loses) if hit else 0)
        found["p50_ms"].append(round(p50, 2) if asked else None)
        found["p99_ms"].append(round(p99, 2) if asked else None)
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    made = samples()
    for run in made:
        one.write(run, folder / "load" / f"{run['scenario']}.html")
    page.write(made, folder / "report.html")
