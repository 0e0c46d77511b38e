"""Small fleets, where every tenant counts: many copies of the layout annealed side by side.

Local search ends in one of many dead ends, and with a dozen tenants these are far apart. Here a step takes each
copy to a random neighbour (one tenant moves, or two change places), surely when that is better, and the less
likely the worse it is and the later it is. What is kept is the best that any copy has come by.
"""

from collections.abc import Callable

import numpy as np

from placement.balancing.fleet import Fleet
from placement.balancing.layout import Layout
from placement.balancing.resources import Flags, Floats, Integers

MOST_PAIRS = 4096
"""tenants × cells; what is larger is left to the local search."""
ISLANDS, COPIES = 6, 480
"""Copies of different islands know nothing of each other, so not all end in the same dead end."""
HOT, COLD = 0.1, 0.003
"""By how much worse a step may be, about, in the beginning and at the end."""
REPLACED_EVERY = 60
"""Steps after which the worst quarter of an island's copies goes on from where its best quarter is."""
SHARPNESS = 80
"""The worst ratio is approached by a norm of this order: it also sees the second worst."""
OVER = 3.0
"""What it weighs on the way to exceed a limit, for each share: passable while it is hot."""
FORBIDDEN = 1000.0
"""What it weighs in the end."""
MOVED = 0.003
"""What it weighs to move everybody: so much balance is worth it."""


def is_small(fleet: Fleet) -> bool:
    """Whether a fleet can be annealed."""
    return len(fleet.tenants) * len(fleet.sites) <= MOST_PAIRS


def anneal(
    layout: Layout,
    ideal: Floats,
    free: Flags,
    cost: Floats,
    steps: int,
    rng: np.random.Generator,
    expired: Callable[[], bool],
) -> Integers | None:
    """Where everybody should live; None when nothing better was found than what is there."""
    fleet = layout.fleet
    movable = np.flatnonzero(free)
    cells = np.flatnonzero(fleet.sites.open)
    if not len(movable) or len(cells) < 2 or not is_small(fleet):
        return None
    copies = np.arange(COPIES)
    where = np.tile(layout.where, (COPIES, 1))
    load = np.tile(layout.load, (COPIES, 1, 1))
    most = np.maximum(layout.room, layout.load)
    scale = np.where(np.isfinite(ideal), 1.0 / ideal, 0.0)
    limit = np.where(np.isfinite(fleet.limits), 1.0 / np.maximum(fleet.limits, 1e-12), 0.0)
    price = MOVED * cost / cost[movable].sum()
    norm, over = _norm(load, scale), _over(load, limit)
    paid = np.tile(price[layout.where != fleet.home].sum(), COPIES)
    energy = _energy(norm, over) + paid
    now = (load[0] * scale).max() + FORBIDDEN * over[0].sum() + paid[0]
    best, least = None, float(now) - 1e-9
    for step, heat in enumerate(np.geomspace(HOT, COLD, steps)):
        if expired():
            break
        if step % REPLACED_EVERY == REPLACED_EVERY - 1:
            order = (
                np.argsort(energy.reshape(ISLANDS, -1), axis=1, kind="stable") + copies[:: COPIES // ISLANDS, None]
            )
            quarter = order.shape[1] // 4
            lost, kept = order[:, -quarter:], order[:, :quarter]
            for each in (where, load, norm, over, paid, energy):
                each[lost] = each[kept]
        one, other = rng.choice(movable, COPIES), rng.choice(movable, COPIES)
        swap = rng.random(COPIES) < 0.5
        here = where[copies, one]
        there = np.where(swap, where[copies, other], rng.choice(cells, COPIES))
        possible = (here != there) & _may(layout, one, there) & (~swap | _may(layout, other, here))
        change = fleet.demand[one] - swap[:, None] * fleet.demand[other]
        pair = np.stack((here, there), axis=1)
        rows = load[copies[:, None], pair]
        rows[:, 0] -= change
        rows[:, 1] += change
        after_norm, after_over = norm.copy(), over.copy()
        after_norm[copies[:, None], pair] = _norm(rows, scale[pair])
        after_over[copies[:, None], pair] = _over(rows, limit[pair])
        after_paid = paid + _paid(one, here, there, fleet.home, price)
        after_paid += swap * _paid(other, there, here, fleet.home, price)
        after = _energy(after_norm, after_over) + after_paid
        taken = copies[possible & (after - energy < -heat * np.log(1.0 - rng.random(COPIES)))]
        load[taken[:, None], pair[taken]] = rows[taken]
        where[taken, one[taken]] = there[taken]
        both = taken[swap[taken]]
        where[both, other[both]] = here[both]
        norm[taken], over[taken] = after_norm[taken], after_over[taken]
        paid[taken], energy[taken] = after_paid[taken], after[taken]
        # Judged by the worst ratio itself, and only when no cell is deeper in what it should not be.
        better = taken[energy[taken] - 0.02 < least]
        if len(better):
            exact = (load[better] * scale).max(axis=(1, 2)) + FORBIDDEN * over[better].sum(axis=1) + paid[better]
            exact[~(load[better] <= most).all(axis=(1, 2))] = np.inf
            first = int(exact.argmin())
            if exact[first] < least:
                best, least = where[better[first]].copy(), float(exact[first])
    return best


def _may(layout: Layout, tenants: Integers, cells: Integers) -> Flags:
    may: Flags = layout.fleet.enters[layout.fleet.kind[tenants], cells] | (layout.where[tenants] == cells)
    return may


def _norm(rows: Floats, scale: Floats) -> Floats:
    return (np.minimum(rows * scale, 1e3) ** SHARPNESS).sum(axis=-1)  # type: ignore[no-any-return]


def _over(rows: Floats, limit: Floats) -> Floats:
    return np.maximum(rows * limit - 1.0, 0.0).sum(axis=-1)  # type: ignore[no-any-return]


def _energy(norm: Floats, over: Floats) -> Floats:
    return norm.sum(axis=1) ** (1.0 / SHARPNESS) + OVER * over.sum(axis=1)  # type: ignore[no-any-return]


def _paid(tenants: Integers, source: Integers, destination: Integers, home: Integers, price: Floats) -> Floats:
    change = (destination != home[tenants]).astype(float) - (source != home[tenants])
    paid: Floats = price[tenants] * change
    return paid
