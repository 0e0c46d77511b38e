"""Linear programs by HiGHS: how level the fleet could be at best, and the cheapest way to keep the ceilings.

The *bound*. Let tenants be divisible, and let even the resources of one tenant go to different cells: then no
arrangement is left out, and what is the best is found for kinds instead of tenants. No plan can have a worst ratio
below it. It is raised by tenants that alone fill a cell more than that, and by what may not be moved.

The *way*. Tenants that are alike are of one class; how many of each class leave a cell, and how many come to it,
may be fractions. The program keeps all ceilings at the least cost; its answer is rounded elsewhere. Fleets beyond
PROGRAM_CELLS are dealt into groups that are alike (each has hot and cool cells in proportion), one program each.
"""

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from placement.balancing.resources import Floats, Integers

PROGRAM_CELLS = 64
SECONDS = 10.0
"""For one program; without an answer the search goes on alone."""
INFINITE = highspy.kHighsInf


@dataclass(frozen=True, slots=True)
class Program:
    """minimise cost·x, with least ≤ A·x ≤ most and 0 ≤ x ≤ upper. A is given by its entries."""

    cost: Floats
    upper: Floats
    least: Floats
    most: Floats
    row: Integers
    column: Integers
    value: Floats


def solved(program: Program, seconds: float = SECONDS) -> Floats | None:
    """The best x; None when there is none, or none in time."""
    order = np.lexsort((program.row, program.column))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(program.cost), len(program.least)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, np.zeros(len(program.cost)), program.upper
    lp.row_lower_, lp.row_upper_ = program.least, program.most
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    counts = np.bincount(program.column, minlength=len(program.cost))
    lp.a_matrix_.start_ = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    lp.a_matrix_.index_ = program.row[order].astype(np.int32)
    lp.a_matrix_.value_ = program.value[order]
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, setting in {"output_flag": False, "threads": 1, "random_seed": 0, "time_limit": seconds}.items():
        highs.setOptionValue(option, setting)
    highs.passModel(lp)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.array(highs.getSolution().col_value)


def bound(demand: Floats, allowed: NDArray[np.bool_], fixed: Floats, ideal: Floats) -> float:
    """The worst ratio of load to `ideal` that no arrangement can be below.

    `demand` kinds × resources is what each kind has in all, `allowed` kinds × cells where it may be, `fixed` cells
    × resources what cannot leave, `ideal` cells × resources (inf: this one is not levelled).
    """
    least = float((fixed / ideal).max(initial=0.0))
    # Cells that are allowed to the same kinds are one: what is divisible fills them alike.
    patterns, group = np.unique(allowed, axis=1, return_inverse=True)
    group = group.reshape(-1)
    together: Floats = np.stack([np.bincount(group, column, patterns.shape[1]) for column in ideal.T], axis=1)
    there: Floats = np.stack([np.bincount(group, column, patterns.shape[1]) for column in fixed.T], axis=1)
    for resource in np.flatnonzero(np.isfinite(ideal).all(axis=0)):
        least = max(least, _flow(demand[:, resource], patterns, together[:, resource], there[:, resource]))
    return least


def _flow(amounts: Floats, allowed: NDArray[np.bool_], ideal: Floats, fixed: Floats) -> float:
    """The least λ such that all amounts fit into λ·ideal − fixed."""
    kinds = np.flatnonzero(amounts > 0)
    if allowed[kinds].all():
        # Everybody may go everywhere: there is nothing to solve.
        return float((amounts.sum() + fixed.sum()) / ideal.sum()) if ideal.sum() > 0 else 0.0
    row, cell = np.nonzero(allowed[kinds])
    pairs = len(row)
    # Amounts as shares of all, so that the program has numbers of one size.
    unit = float(amounts.sum() + fixed.sum())
    x = solved(
        Program(
            cost=np.concatenate((np.zeros(pairs), [1.0])),
            upper=np.full(pairs + 1, INFINITE),
            least=np.concatenate((amounts[kinds] / unit, np.full(len(ideal), -INFINITE))),
            most=np.concatenate((amounts[kinds] / unit, -fixed / unit)),
            row=np.concatenate((row, len(kinds) + cell, len(kinds) + np.arange(len(ideal)))),
            column=np.concatenate((np.arange(pairs), np.arange(pairs), np.full(len(ideal), pairs))),
            value=np.concatenate((np.ones(2 * pairs), -ideal / unit)),
        )
    )
    return 0.0 if x is None else float(x[-1])


@dataclass(frozen=True, slots=True)
class Ways:
    """How many of each class should leave each cell, and how many should come: classes × cells, fractions."""

    leave: Floats
    come: Floats


def cheapest(
    count: Floats, mean: Floats, cost: Floats, enters: NDArray[np.bool_], above: Floats, seconds: float = SECONDS
) -> Ways | None:
    """How the ceilings are kept at the least cost; where they cannot be, by as little as possible above them.

    `count` classes × cells, `mean` classes × cells × resources the demand of one tenant, as shares of the cell's
    ceilings. `cost` classes × cells of moving one out. `above` cells × resources: shares by which loads exceed
    ceilings (negative: what is free; −inf: no matter).
    """
    classes = len(count)
    from_class, from_cell = np.nonzero(count > 0)
    to_class, to_cell = np.nonzero(enters)
    out, into = len(from_class), len(to_class)
    counted = np.isfinite(above)
    number = np.full(above.shape, -1, dtype=np.int64)
    number[counted] = classes + np.arange(int(counted.sum()))
    limits = above[counted]
    hot = np.flatnonzero((above > 0).any(axis=1))
    rows, columns, values = [], [], []

    def entries(of_class: Integers, of_cell: Integers, first: int, sign: float) -> None:
        these = first + np.arange(len(of_class))
        rows.append(of_class)
        columns.append(these)
        values.append(np.full(len(of_class), sign))
        in_row = number[of_cell]
        share = mean[of_class, of_cell]
        which, resource = np.nonzero((in_row >= 0) & (share > 0))
        rows.append(in_row[which, resource])
        columns.append(these[which])
        values.append(-sign * share[which, resource])

    entries(from_class, from_cell, 0, 1.0)
    entries(to_class, to_cell, out, -1.0)
    # What remains above the ceilings of a hot cell, at a price that no move is worth.
    cell, resource = np.nonzero(counted & (above > 0))
    slack = len(cell)
    rows.append(number[cell, resource])
    columns.append(out + into + np.arange(slack))
    values.append(np.full(slack, -1.0))
    price = 1e4 * float(cost[count > 0].max(initial=1.0)) if len(hot) else 1.0
    unit = float(np.median(cost[count > 0])) if out else 1.0
    x = solved(
        Program(
            cost=np.concatenate(
                (cost[from_class, from_cell] / unit, np.zeros(into), np.full(slack, price / unit))
            ),
            upper=np.concatenate((count[from_class, from_cell], np.full(into + slack, INFINITE))),
            least=np.concatenate((np.zeros(classes), np.full(len(limits), -INFINITE))),
            most=np.concatenate((np.zeros(classes), -limits)),
            row=np.concatenate(rows),
            column=np.concatenate(columns),
            value=np.concatenate(values),
        ),
        seconds,
    )
    if x is None:
        return None
    leave, come = np.zeros(count.shape), np.zeros(count.shape)
    leave[from_class, from_cell] = x[:out]
    come[to_class, to_cell] = x[out : out + into]
    both = np.minimum(leave, come)
    return Ways(leave - both, come - both)
