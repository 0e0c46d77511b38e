"""A million tenants as some dozens of classes: alike in kind, what they take most of, how much, at what cost."""

from dataclasses import dataclass

import numpy as np

from placement.balancing.fleet import Fleet, sums
from placement.balancing.layout import Layout
from placement.balancing.relaxation import PROGRAM_CELLS, cheapest
from placement.balancing.resources import Flags, Floats, Integers

SIZES = 8
"""Octaves of size, down from the largest; what is smaller still is of the last."""
LARGEST = 0.25
"""Share of a cell's ceiling from which on a tenant is no part of a program: it cannot be rounded."""
COSTS = 3
"""Parts into which tenants are sorted by what moving them costs for what it brings."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Which class each tenant is of, and the kind of each class."""

    of: Integers
    kind: Integers

    def __len__(self) -> int:
        return len(self.kind)


def classify(fleet: Fleet, typical: Floats, cost: Floats) -> Classes:
    """`typical` is what a cell holds of each resource (inf: left out)."""
    share = fleet.demand / typical
    most = share.argmax(axis=1)
    # Nobody is of size zero, so that all can be divided by it.
    largest = np.maximum(share.max(axis=1, initial=0.0), 1e-12)
    size = np.minimum(np.floor(np.log2(largest.max(initial=0.0) / largest)), SIZES - 1).astype(np.int64)
    dear = cost / largest
    part = np.searchsorted(np.quantile(dear, np.arange(1, COSTS) / COSTS), dear)
    key = ((fleet.kind * share.shape[1] + most) * SIZES + size) * COSTS + part
    found, of = np.unique(key, return_inverse=True)
    return Classes(of.reshape(-1), found // COSTS // SIZES // share.shape[1])


def dealt(cells: Integers, heat: Floats) -> list[Integers]:
    """The cells in groups of at most PROGRAM_CELLS, hot and cool ones dealt out evenly, there and back."""
    groups = -(-len(cells) // PROGRAM_CELLS)
    if groups <= 1:
        return [cells] if len(cells) else []
    order = cells[np.argsort(-heat[cells], kind="stable")]
    turn = np.arange(len(order)) % (2 * groups)
    hand = np.where(turn < groups, turn, 2 * groups - 1 - turn)
    return [np.sort(order[hand == group]) for group in range(groups)]


def follow(layout: Layout, cells: Integers, classes: Classes, free: Flags, cost: Floats) -> None:
    """Make, within these cells, the moves of the cheapest way to their ceilings, rounded to whole tenants."""
    fleet = layout.fleet
    share = (fleet.demand * layout.scale[cells].min(axis=0)).max(axis=1)
    inside = np.flatnonzero(np.isin(layout.where, cells) & free & (share < LARGEST))
    if not len(inside):
        return
    local = np.full(len(fleet.sites), -1, dtype=np.int64)
    local[cells] = np.arange(len(cells))
    used, of = np.unique(classes.of[inside], return_inverse=True)
    of = of.reshape(-1)
    at = local[layout.where[inside]]
    shape = (len(used), len(cells))
    pair = of * shape[1] + at
    count = np.bincount(pair, minlength=shape[0] * shape[1]).astype(float).reshape(shape)
    total = sums(of, fleet.demand[inside], shape[0])
    mean = total / count.sum(axis=1)[:, None]
    paid = np.bincount(pair, cost[inside], shape[0] * shape[1]).reshape(shape) / np.maximum(count, 1)
    # No more than all of its tenants can leave a cell: what is above without them stays above.
    share_of = layout.load[cells] * layout.scale[cells]
    leaving = sums(at, fleet.demand[inside], len(cells)) * layout.scale[cells]
    above = np.where(layout.scale[cells] > 0, np.minimum(share_of - 1.0, leaving), -np.inf)
    ways = cheapest(
        count, mean[:, None, :] * layout.scale[cells], paid, fleet.enters[classes.kind[used]][:, cells], above
    )
    if ways is None:
        return
    for number in range(len(used)):
        leave, come = whole(ways.leave[number]), whole(ways.come[number])
        going = _going(inside[of == number], local, layout.where, leave, cost)
        _send(layout, going, np.repeat(cells, come))


def whole(parts: Floats) -> Integers:
    """Whole numbers close to the fractions, with their sum: the largest remainders are rounded up."""
    down = np.floor(parts + 1e-9)
    rest = round(float((parts - down).sum()))
    if rest > 0:
        down[np.argsort(down - parts, kind="stable")[:rest]] += 1
    return down.astype(np.int64)


def _going(tenants: Integers, local: Integers, where: Integers, leave: Integers, cost: Floats) -> Integers:
    """The cheapest of the class in each cell, as many as should leave it."""
    at = local[where[tenants]]
    order = np.lexsort((cost[tenants], at))
    at, tenants = at[order], tenants[order]
    rank = np.arange(len(at)) - np.searchsorted(at, at)
    return tenants[rank < leave[at]]


def _send(layout: Layout, going: Integers, places: Integers) -> None:
    """Each to one of the places, the largest first; who fits nowhere stays."""
    for tenant, cell in zip(going.tolist(), places.tolist(), strict=False):
        if layout.where[tenant] != cell and layout.takes(tenant, cell):
            layout.put(tenant, cell)
