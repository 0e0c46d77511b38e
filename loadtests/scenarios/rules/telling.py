"""The JSON of a run, which the report reads, and the lines that people see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.scenarios.rules import samples as read
from loadtests.scenarios.rules.arrivals import OPERATIONS
from loadtests.scenarios.rules.goals import Judged
from loadtests.scenarios.rules.run import Run
from loadtests.scenarios.scenario import Scenario

MOST_STEPS = 300
"""Of a series: a longer run has longer steps."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and how it ran."""

    began: str
    machine: Mapping[str, Any]
    target: str
    seed: int
    mix: Mapping[str, float]
    notes: Sequence[str] = ()


def told(scenario: Scenario, run: Run, judged: Sequence[Judged], how: Circumstances) -> dict[str, Any]:
    """Everything, for the file."""
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "proves": scenario.proves,
        "began": how.began,
        "seconds": round(run.seconds, 1),
        "machine": dict(how.machine),
        "target": how.target,
        "seed": how.seed,
        "load": {
            "rate": round(run.rate, 1),
            "tenants": len(run.homes),
            "zipf": scenario.zipf,
            "mix": dict(how.mix),
        },
        "goals": [each.told() for each in judged],
        "faults": [
            {
                "from_second": round(span.from_second, 2),
                "until_second": round(span.until_second, 2),
                "what": span.what,
                **({"cell": span.cell} if span.cell else {}),
            }
            for span in run.spans
        ],
        "totals": totals(run),
        "series": every_series(run),
        "notes": list(how.notes),
        "passed": all(each.passed for each in judged),
    }


def totals(run: Run) -> dict[str, Any]:
    """Of all requests together."""
    seconds = run.samples["seconds"]
    return {
        "requests": len(run.samples),
        "failed": int(run.failures()),
        "p50_ms": read.quantile_ms(seconds, 0.5),
        "p99_ms": read.quantile_ms(seconds, 0.99),
        "max_ms": read.quantile_ms(seconds, 1.0),
    }


def every_series(run: Run) -> dict[str, Any]:
    """Over time, by cell and by operation. Cells: reads and writes, for a job's time would hide theirs."""
    step = float(max(1, round(run.seconds / MOST_STEPS)))
    cells = sorted({*run.homes, *(switch.cell for switch in run.switches)} - {""})
    numbers = np.unique(run.samples["operation"])
    return {
        "step_seconds": step,
        "cells": {
            cell: read.series(run.samples[run.quick & (run.cells == cell)], run.seconds, step) for cell in cells
        },
        "operations": {
            OPERATIONS[number]: read.series(run.samples[run.samples["operation"] == number], run.seconds, step)
            for number in numbers
        },
    }
