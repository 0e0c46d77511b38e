"""Where everybody lives at some moment of the search, and how far each cell is above its ceilings.

A *ceiling* is what a cell should hold at most: a wish, of which the search removes what is above it (*excess*).
The *room* is what it can hold at most: no step of the search goes beyond it, or deeper into it than it was before.
"""

import numpy as np

from placement.balancing.fleet import Fleet
from placement.balancing.resources import Floats, Integers

ROUNDING = 1e-9
"""Share of a limit by which sums of floating-point numbers may be off."""


class Layout:
    """Tenants in cells. Changed by `put` alone."""

    def __init__(self, fleet: Fleet, where: Integers, ceilings: Floats) -> None:
        self.fleet = fleet
        self.where = where.copy()
        self.room = fleet.limits * (1 + ROUNDING) - fleet.held
        self._members, self._place = _by_cell(where, len(fleet.sites))
        self.raise_to(ceilings)

    def raise_to(self, ceilings: Floats) -> None:
        """Other ceilings from here on. Loads are added up anew, so that rounding does not grow."""
        self.load = self.fleet.loads(self.where)
        # Nothing is left of a ceiling of zero, and any load is far above it.
        self.scale = np.where(np.isfinite(ceilings), 1.0 / np.maximum(ceilings, 1e-12), 0.0)
        self.excess = excess(self.load, self.scale)

    def members(self, cell: int) -> Integers:
        """Who lives there."""
        return np.array(self._members[cell], dtype=np.int64)

    def put(self, tenant: int, cell: int) -> None:
        """It lives there from now on."""
        source = int(self.where[tenant])
        demand = self.fleet.demand[tenant]
        left, place = self._members[source], int(self._place[tenant])
        last = left.pop()
        if last != tenant:
            left[place] = last
            self._place[last] = place
        self._place[tenant] = len(self._members[cell])
        self._members[cell].append(tenant)
        self.where[tenant] = cell
        self.load[source] -= demand
        self.load[cell] += demand
        for each in (source, cell):
            self.excess[each] = excess(self.load[each], self.scale[each])

    def takes(self, tenant: int, cell: int) -> bool:
        """Whether the tenant may go there, and there is room for it."""
        demand = self.fleet.demand[tenant]
        if not self.fleet.enters[self.fleet.kind[tenant], cell]:
            return False
        return bool(((self.load[cell] + demand <= self.room[cell]) | (demand == 0)).all())

    def gain(self, tenant: int, cell: int) -> float:
        """By how much less all cells together would be above their ceilings with the tenant there."""
        source, demand = int(self.where[tenant]), self.fleet.demand[tenant]
        rows = np.stack((self.load[source] - demand, self.load[cell] + demand))
        pair = [source, cell]
        return float(self.excess[pair].sum() - excess(rows, self.scale[pair]).sum())

    def fits(self, tenants: Integers, cells: Integers) -> Floats:
        """tenants × cells, true where the tenant may go and there is room for it."""
        demand = self.fleet.demand[tenants][:, None, :]
        enough = (self.load[cells] + demand <= self.room[cells]) | (demand == 0)
        allowed = self.fleet.enters[self.fleet.kind[tenants]][:, cells]
        return enough.all(axis=2) & allowed  # type: ignore[no-any-return]


def excess(load: Floats, scale: Floats) -> Floats:
    """How far above the ceilings, squared and added up over resources: the highest is worth most."""
    above = np.maximum(load * scale - 1.0, 0.0)
    return np.einsum("...r,...r->...", above, above)  # type: ignore[no-any-return]


def _by_cell(where: Integers, cells: int) -> tuple[list[list[int]], Integers]:
    order = np.argsort(where, kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=cells)) if len(where) else np.zeros(cells, dtype=np.int64)
    starts = np.concatenate(([0], ends[:-1]))
    place = np.empty(len(where), dtype=np.int64)
    place[order] = np.arange(len(where)) - starts[where[order]]
    return [order[start:end].tolist() for start, end in zip(starts, ends, strict=True)], place
