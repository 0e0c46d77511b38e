"""Local search: the cell that is furthest above its ceilings first; a move, a swap, or a chain that helps it.

Every step lowers the sum of all cells' excess and keeps the room, so it can be ended at any time, and what is
there then is the best so far. Of two steps that help, the one that helps more for its cost is taken. A tenant that
the plan moves anyway costs nothing more to move elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from placement.balancing.goals import GIB, Goals
from placement.balancing.layout import Layout, excess
from placement.balancing.resources import Flags, Floats, Integers

MOST_TENANTS, MOST_CELLS = 48, 64
"""Candidates that are looked at for one move."""
MOST_PARTNERS, MOST_PAIRED = 8, 32
"""Cells, and tenants of each, that are looked at for one swap."""
MOST_LINKS = 4
"""Destinations of a first move that are tried with a second one out of there."""
LEAST_GAIN = 1e-12
AT_ONCE, STILL = 6, 0.8
"""Moves of one look at a cell; each but the first must still bring this share of what it promised."""
MOVED_SHARE = 0.02
"""What another destination for a tenant that moves anyway costs, as a share of a move."""


@dataclass
class Budget:
    """How many steps are left, and whether time is over."""

    steps: int
    expired: Callable[[], bool]

    def spend(self) -> bool:
        """Whether there is one more."""
        self.steps -= 1
        return self.steps >= 0 and not self.expired()


class Search:
    """Steps on one layout. `free` says who may be moved."""

    def __init__(self, layout: Layout, goals: Goals, free: Flags, rng: np.random.Generator) -> None:
        self.layout = layout
        self.fleet = layout.fleet
        self.free = free
        self.rng = rng
        self.cost = self.fleet.bytes + goals.move_bytes
        self.cheapest = MOVED_SHARE * goals.move_bytes
        self.least_relief = goals.least_relief_per_gib / GIB
        self.levelling = True

    def descend(self, budget: Budget, *, swaps: bool = True) -> bool:
        """Until no cell is above its ceilings (True), or nothing helps, or the budget is spent."""
        layout, stuck = self.layout, np.zeros(len(self.fleet.sites), dtype=np.bool_)
        helped = False
        while True:
            hot = np.where(stuck, 0.0, layout.excess)
            cell = int(hot.argmax()) if len(hot) else -1
            if cell < 0 or hot[cell] <= LEAST_GAIN:
                if not helped or not stuck.any() or layout.excess.max() <= LEAST_GAIN:
                    return not len(hot) or bool(layout.excess.max() <= LEAST_GAIN)
                # What was stuck may have been helped by the others' steps.
                stuck[:], helped = False, False
                continue
            if not budget.spend():
                return False
            if self.single(cell) or (swaps and (self.swap(cell) or self.chain(cell))):
                helped = True
            else:
                stuck[cell] = True

    def single(self, cell: int) -> bool:
        """The best moves out of the cell, if any helps."""
        found = self._best(cell, self._leaving(cell))
        if not found or found[0][2] <= LEAST_GAIN:
            return False
        self.layout.put(found[0][0], found[0][1])
        # The next best are as good as before if they are still worth what they were.
        for tenant, to, gain in found[1:]:
            if gain > LEAST_GAIN and self.layout.takes(tenant, to) and self.layout.gain(tenant, to) > gain * STILL:
                self.layout.put(tenant, to)
        return True

    def swap(self, cell: int) -> bool:
        """The best exchange of one tenant of the cell for one of another cell, if any helps."""
        layout, demand = self.layout, self.fleet.demand
        mine = self._leaving(cell)
        best: tuple[float, int, int] | None = None
        for partner in self._partners(cell):
            theirs = self._movable(partner)
            if len(theirs) > MOST_PAIRED:
                theirs = self.rng.choice(theirs, MOST_PAIRED, replace=False)
            if not len(mine) or not len(theirs):
                continue
            change = demand[theirs][None, :, :] - demand[mine][:, None, :]
            here, there = layout.load[cell] + change, layout.load[partner] - change
            before = layout.excess[cell] + layout.excess[partner]
            gain = before - excess(here, layout.scale[cell]) - excess(there, layout.scale[partner])
            possible = self._allowed(mine, partner)[:, None] & self._allowed(theirs, cell)[None, :]
            possible &= ((here <= layout.room[cell]) | (change <= 0)).all(axis=2)
            possible &= ((there <= layout.room[partner]) | (change >= 0)).all(axis=2)
            gain = np.where(possible, gain, -np.inf)
            worth = gain / (self._costs(mine)[:, None] + self._costs(theirs)[None, :])
            row, column = np.unravel_index(int(np.where(gain > LEAST_GAIN, worth, -np.inf).argmax()), gain.shape)
            if gain[row, column] > LEAST_GAIN and (best is None or worth[row, column] > best[0]):
                best = float(worth[row, column]), int(mine[row]), int(theirs[column])
        if best is None:
            return False
        partner = int(layout.where[best[2]])
        layout.put(best[1], partner)
        layout.put(best[2], cell)
        return True

    def chain(self, cell: int) -> bool:
        """A move that by itself helps nobody, followed by one out of its destination, if together they help."""
        layout = self.layout
        mine = self._leaving(cell)[:MOST_LINKS]
        cells = self._coolest(cell)[: MOST_LINKS * 2]
        fits = layout.fits(mine, cells)
        for row, column in zip(*np.nonzero(fits), strict=True):
            tenant, link = int(mine[row]), int(cells[column])
            before = layout.excess[cell] + layout.excess[link]
            layout.put(tenant, link)
            after = layout.excess[cell] + layout.excess[link]
            found = self._best(link, self._leaving(link))
            if found and found[0][0] != tenant and before - after + found[0][2] > LEAST_GAIN:
                layout.put(found[0][0], found[0][1])
                return True
            layout.put(tenant, cell)
        return False

    def kick(self, count: int) -> None:
        """Leave a dead end: some tenants of the cells in it, and of others, go where there is room."""
        for cell in (int(self.layout.excess.argmax()), *self.rng.integers(len(self.fleet.sites), size=2)):
            ids = self._movable(int(cell))
            for tenant in self.rng.permutation(ids)[:count]:
                cells = self.rng.permutation(len(self.fleet.sites))[:MOST_CELLS]
                fitting = cells[self.layout.fits(np.array([tenant]), cells)[0]]
                others = fitting[fitting != cell]
                if len(others):
                    self.layout.put(int(tenant), int(others[0]))

    def _best(self, cell: int, ids: Integers) -> list[tuple[int, int, float]]:
        """Tenant, destination and gain of the moves out of the cell that are worth most, the best first."""
        layout = self.layout
        cells = self._coolest(cell)
        if not len(ids) or not len(cells):
            return []
        demand = self.fleet.demand[ids]
        relief = layout.excess[cell] - excess(layout.load[cell] - demand, layout.scale[cell])
        after = layout.load[cells] + demand[:, None, :]
        burden = excess(after, layout.scale[cells]) - layout.excess[cells]
        gain = np.where(layout.fits(ids, cells), relief[:, None] - burden, -np.inf)
        column = gain.argmax(axis=1)
        most = gain[np.arange(len(ids)), column]
        worth = np.where(most > LEAST_GAIN, most / self._costs(ids), most - 1e30)
        found = []
        for row in np.argsort(-worth, kind="stable")[:AT_ONCE].tolist():
            if np.isfinite(most[row]):
                # Of the cells that take it equally well, the one in which most is left of what it fills.
                equal = gain[row] >= most[row] - LEAST_GAIN
                full = (after[row] * layout.scale[cells]).max(axis=1)
                to = int(np.where(equal, full, np.inf).argmin())
                found.append((int(ids[row]), int(cells[to]), float(most[row])))
        return found

    def _leaving(self, cell: int) -> Integers:
        """Those of the cell whose leaving relieves it most for its cost."""
        ids = self._movable(cell)
        layout = self.layout
        demand = self.fleet.demand[ids]
        if self.levelling:
            share = (demand * layout.scale[cell]).max(axis=1, initial=0.0)
            worthy = (share >= self.least_relief * self.cost[ids]) | (layout.where[ids] != self.fleet.home[ids])
            ids, demand = ids[worthy], demand[worthy]
        if len(ids) <= MOST_TENANTS:
            return ids
        relief = layout.excess[cell] - excess(layout.load[cell] - demand, layout.scale[cell])
        worth = relief / self._costs(ids)
        most = MOST_TENANTS * 3 // 4
        by_worth = np.argpartition(-worth, most)[:most]
        by_relief = np.argpartition(-relief, MOST_TENANTS - most)[: MOST_TENANTS - most]
        leaving: Integers = ids[np.union1d(by_worth, by_relief)]
        return leaving

    def _movable(self, cell: int) -> Integers:
        ids = self.layout.members(cell)
        return ids[self.free[ids]]

    def _costs(self, ids: Integers) -> Floats:
        return np.where(self.layout.where[ids] == self.fleet.home[ids], self.cost[ids], self.cheapest)

    def _allowed(self, ids: Integers, cell: int) -> Flags:
        found: Flags = self.fleet.enters[self.fleet.kind[ids], cell]
        return found

    def _coolest(self, cell: int) -> Integers:
        """Destinations to look at: all of a small fleet; of a large one the least full, and some by chance."""
        layout = self.layout
        cells: Integers = np.flatnonzero(self.fleet.sites.open)
        cells = cells[cells != cell]
        if len(cells) <= MOST_CELLS:
            return cells
        sample = self.rng.choice(cells, MOST_CELLS * 4, replace=False) if len(cells) > MOST_CELLS * 4 else cells
        full = (layout.load[sample] * layout.scale[sample]).max(axis=1)
        coolest: Integers = sample[np.argpartition(full, MOST_CELLS)[:MOST_CELLS]]
        return coolest

    def _partners(self, cell: int) -> list[int]:
        """Cells that are least full in what this one has too much of."""
        layout = self.layout
        cells = self._coolest(cell)
        hottest = int((layout.load[cell] * layout.scale[cell]).argmax())
        full = layout.load[cells, hottest] * layout.scale[cells, hottest]
        partners: list[int] = cells[np.argsort(full)[:MOST_PARTNERS]].tolist()
        return partners
