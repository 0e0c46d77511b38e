"""One part of the measurements, in a process of its own.

python -m loadtests.placement.measure choose|rooms|plan_10k|plan_1m|service_1m
"""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from loadtests.placement.instances import CELL, GIB, fleet_of_cells, uneven
from loadtests.placement.large import roomy, served
from placement.balancing.choosing import Candidate, choose
from placement.balancing.goals import Goals
from placement.balancing.planning import peak, rebalance
from placement.balancing.sites import Needs
from placement.balancing.waves import Pace, in_waves

CHOICES = 3000
STOP = 1.015
"""For ten thousand tenants: as level as a night's plan is made."""
UNBOUNDED = Pace(all=10**9)


def chosen() -> dict[str, Any]:
    """One of a thousand cells, for tenants that ask for different things."""
    cells = fleet_of_cells(1000)
    rng = np.random.default_rng(2)
    needs = [
        Needs(), Needs(frozenset({"region-1"})), Needs(frozenset({"region-2", "region-3"}), frozenset({"pci"})),
        Needs(tags=frozenset({"pci", "hipaa"}), least_version=(1, 1)), Needs(dedicated="acme"),
        Needs(frozenset({"nowhere"})),
    ]  # fmt: skip
    times, spent = [], []
    for number in range(CHOICES + 100):
        size = rng.lognormal(0.0, 1.0, 4) * 0.002 * CELL
        candidate = Candidate(needs[number % len(needs)], np.array([*size, 1.0, 100.0, 0.0]), ("region-4",))
        began, worked = time.perf_counter(), time.thread_time()
        choose(cells, candidate)
        times.append(time.perf_counter() - began)
        spent.append(time.thread_time() - worked)
    p50, p99 = np.percentile(times[100:], [50, 99]) * 1000
    return {
        "choose_p50_ms": round(p50, 3),
        "choose_p99_ms": round(p99, 3),
        "choose_p99_cpu_ms": round(float(np.percentile(spent[100:], 99)) * 1000, 3),
        "choose_cells": len(cells.sites),
    }


def planned(name: str, tenants: int, cells: int, goals: Goals) -> dict[str, Any]:
    """A plan for an uneven fleet: its time, its memory, and what it leads to."""
    fleet = uneven(tenants, cells)
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    plan = rebalance(fleet, goals)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    began = time.perf_counter()
    waves = in_waves(plan, UNBOUNDED)
    ratios = (plan.after / plan.ideal).max(axis=0)
    return {
        f"{name}_seconds": round(seconds, 2),
        f"{name}_cpu_seconds": round(cpu_seconds, 2),
        f"{name}_waves_seconds": round(time.perf_counter() - began, 2),
        f"{name}_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        f"{name}_gap": round(plan.gap, 4),
        f"{name}_bound": round(plan.bound, 4),
        f"{name}_worst_before": round(peak(plan.before, plan.ideal), 3),
        f"{name}_worst_after": round(float(ratios.max()), 4),
        f"{name}_over_limits": int((plan.after > fleet.limits * (1 + 1e-6)).sum()),
        f"{name}_moves": len(plan.tenants),
        f"{name}_moved_gib": round(plan.bytes / GIB),
        f"{name}_waves": len(waves.waves),
        f"{name}_stuck": len(waves.stuck),
    }


PARTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "choose": chosen,
    "rooms": lambda: roomy(CHOICES, 1000),
    "plan_10k": lambda: planned("plan_10k", 10_000, 50, Goals(start=1.0, stop=STOP)),
    "plan_1m": lambda: planned("plan_1m", 1_000_000, 1_000, Goals()),
    "service_1m": lambda: served("service_1m", 1_000_000, 1_000),
}

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]]()))
