"""OR-tools' CP-SAT on a fleet from a file: started as a program of its own, with the peers' Python.

    python peer.py FLEET.npz SECONDS OUT.npz

Least worst ratio first, then few bytes. It imports nothing of ours, and may be killed at any time: what it has
found last lies in OUT.
"""

import sys
import time
from pathlib import Path

import numpy as np
from ortools.sat.python import cp_model

TOO_LATE = 3
"""Exit code: the time was over before the model was built. Any other but 0 is a failure."""
UNITS = 10_000
"""Ratios are whole numbers of this part."""
BYTES_UNITS = 1_000_000


class Keep(cp_model.CpSolverSolutionCallback):
    """Writes each arrangement that is better than the last, until the time is over."""

    def __init__(self, chosen: list[list[cp_model.IntVar]], out: Path, end: float) -> None:
        super().__init__()
        self.chosen, self.out, self.end = chosen, out, end

    def on_solution_callback(self) -> None:
        """The name is OR-tools'."""
        if time.monotonic() > self.end:
            return self.stop_search()
        where = [next(cell for cell, x in enumerate(row) if self.boolean_value(x)) for row in self.chosen]
        part = self.out.with_name("part.npy")
        np.save(part, np.array(where))
        part.replace(self.out)  # whole, also when this program is killed the next moment
        return None


def main() -> int:
    """Solve, and tell how many seconds that took."""
    began = time.monotonic()
    code = solve(began)
    print(round(time.monotonic() - began, 3))
    return code


def solve(began: float) -> int:
    """For the time that is left after the model was built."""
    given, seconds, out = np.load(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    share, home, ceiling, cost = given["share"], given["home"], given["ceiling"], given["cost"]
    tenants, cells = len(home), len(ceiling)
    model = cp_model.CpModel()
    chosen = [[model.new_bool_var("") for _ in range(cells)] for _ in range(tenants)]
    worst = model.new_int_var(UNITS, 100 * UNITS, "worst")
    for tenant, row in enumerate(chosen):
        model.add_exactly_one(row)
        for cell, x in enumerate(row):
            model.add_hint(x, int(cell == home[tenant]))
        if time.monotonic() - began > seconds:
            return TOO_LATE
    for cell in range(cells):
        column = [row[cell] for row in chosen]
        for resource in range(share.shape[1]):
            weights = np.ceil(share[:, resource] * UNITS * 100).astype(int)
            total = cp_model.LinearExpr.weighted_sum(column, weights.tolist())
            model.add(total <= 100 * worst)
            model.add(total <= int(ceiling[cell, resource] * UNITS * 100))
        if time.monotonic() - began > seconds:
            return TOO_LATE
    stays = [row[at] for row, at in zip(chosen, home, strict=True)]
    saved = cp_model.LinearExpr.weighted_sum(stays, np.floor(cost / cost.sum() * BYTES_UNITS).astype(int).tolist())
    model.minimize(worst * BYTES_UNITS - saved)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 2
    solver.parameters.max_time_in_seconds = max(0.1, seconds - (time.monotonic() - began))
    solver.solve(model, Keep(chosen, out, began + seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
