"""The best arrangement of a small fleet, proved by scipy's integer programs, to judge ours by."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from loadtests.placement.instances import small
from placement.balancing.fleet import Fleet
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import rebalance
from placement.balancing.resources import Floats

SECONDS = 30.0
FAR = 1.02
PATIENT = Effort(annealing=8000, anneals=4)
"""Up to ten seconds for each fleet."""
LEVEL = Goals(start=1.0, stop=1.0, least_gain=0.0, least_relief_per_gib=0.0)


def optimum(fleet: Fleet, ideal: Floats, seconds: float = SECONDS) -> float | None:
    """The least worst ratio that all limits allow; None where no arrangement keeps them, or none is proved."""
    tenants, cells = len(fleet.tenants), len(fleet.sites)
    size = tenants * cells
    rows, columns, values = [np.repeat(np.arange(tenants), cells)], [np.arange(size)], [np.ones(size)]
    least, most = [1.0] * tenants, [1.0] * tenants
    for cell, resource in np.ndindex(ideal.shape):
        here = np.arange(tenants) * cells + cell
        if np.isfinite(ideal[cell, resource]):
            rows.append(np.full(tenants + 1, len(most)))
            columns.append(np.append(here, size))
            values.append(np.append(fleet.demand[:, resource] / ideal[cell, resource], -1.0))
            least.append(-np.inf)
            most.append(0.0)
        if np.isfinite(fleet.limits[cell, resource]):
            rows.append(np.full(tenants, len(most)))
            columns.append(here)
            values.append(fleet.demand[:, resource] / fleet.limits[cell, resource])
            least.append(-np.inf)
            most.append(1.0)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    found = milp(
        np.append(np.zeros(size), 1.0),
        constraints=LinearConstraint(coo_matrix(entries, shape=(len(most), size + 1)).tocsr(), least, most),
        bounds=Bounds(0.0, np.append(fleet.enters[fleet.kind].astype(float).reshape(-1), np.inf)),
        integrality=np.append(np.ones(size), 0.0),
        options={"time_limit": seconds, "mip_rel_gap": 1e-4},
    )
    return float(found.fun) if found.status == 0 else None


def compare(instances: int, effort: Effort = PATIENT) -> dict[str, float]:
    """How far ours is from the optimum, over so many instances that have one."""
    ratios: list[float] = []
    seed = 0
    with ProcessPoolExecutor() as pool:
        while len(ratios) < instances:
            seeds = range(seed, seed + instances - len(ratios))
            seed = seeds.stop
            ratios += [found for found in pool.map(partial(_ratio, effort), seeds) if found is not None]
    return {
        "optima_instances": len(ratios),
        "optima_within_2_percent": sum(ratio <= FAR for ratio in ratios),
        "optima_worst_ratio": round(max(ratios), 4),
        "optima_mean_ratio": round(float(np.mean(ratios)), 4),
    }


def _ratio(effort: Effort, seed: int) -> float | None:
    """Ours to the optimum; infinite when ours breaks a limit, None when there is no optimum."""
    fleet = small(seed)
    plan = rebalance(fleet, LEVEL, effort)
    best = optimum(fleet, plan.ideal)
    if best is None:
        return None
    kept = bool((plan.after <= fleet.limits * (1 + 1e-6)).all())
    return plan.peak / best if kept else np.inf
