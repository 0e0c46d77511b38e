"""Tenants and cells as arrays: what a plan is made from.

`home` of a tenant that is being moved is where it goes: that is decided. What it takes meanwhile at the other end
is `held` there, and so is what is reserved. Tenants of a failed cell are not moved: nobody knows what state their
data are in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from placement.balancing.resources import PLAIN, Columns, Flags, Floats, Integers
from placement.balancing.sites import Needs, Sites


@dataclass(frozen=True)
class Fleet:
    """Everything about the present that a plan depends on. Rows of arrays are tenants or cells in their order."""

    sites: Sites
    capacity: Floats
    """cells × columns; of what is only capped, the cap. inf: as much as comes."""
    tenants: Sequence[str]
    demand: Floats
    """tenants × columns, in the units of `capacity`."""
    home: Integers
    kind: Integers
    """Which of `kinds` each tenant is."""
    kinds: Sequence[Needs]
    bytes: Floats
    """What moving each tenant carries over the network."""
    pinned: Flags
    """Is not moved, whatever happens, such as one that moves already."""
    cooling: Flags
    """Was moved lately: not moved again to level load, but out of a cell in which it may not be."""
    held: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """cells × columns that moves in flight take at their other end, or that is reserved; empty: nothing is."""
    columns: Columns = PLAIN
    offers: Sequence[int] = ()
    """Which of its offers each cell made then, by the directory's count; empty: not known."""
    unmeasured: Sequence[str] = ()
    """Tenants whose demand is only what their plan lets expect. Named in the plan, in nobody's way."""
    unheard: Sequence[str] = ()
    """Cells that have never told what any of their tenants takes. Named in the plan, in nobody's way."""

    def __post_init__(self) -> None:
        if not len(self.held):
            object.__setattr__(self, "held", np.zeros_like(self.capacity))
        check(self)

    @cached_property
    def enters(self) -> Flags:
        """kinds × cells: where a tenant of the kind may go."""
        return self._allowed(arriving=True)

    @cached_property
    def stays(self) -> Flags:
        """kinds × cells: where a tenant of the kind may be."""
        return self._allowed(arriving=False)

    @cached_property
    def misplaced(self) -> Integers:
        """Who is in a cell where it may not be, and can be moved."""
        wrong = ~self.stays[self.kind, self.home] if len(self.tenants) else np.zeros(0, dtype=np.bool_)
        return np.flatnonzero(wrong & ~self.fixed)

    @cached_property
    def fixed(self) -> Flags:
        """Who is not moved, whatever happens."""
        return self.pinned | self.sites.failed[self.home]

    @cached_property
    def limits(self) -> Floats:
        """cells × columns: what each may hold."""
        return limits(self.sites, self.capacity, self.columns)

    def loads(self, where: Integers) -> Floats:
        """cells × columns with everybody at `where`."""
        return sums(where, self.demand, len(self.sites))

    def _allowed(self, *, arriving: bool) -> Flags:
        if not self.kinds:
            return np.zeros((0, len(self.sites)), dtype=np.bool_)
        return np.stack([self.sites.broken(needs, arriving=arriving) == 0 for needs in self.kinds])


def limits(sites: Sites, capacity: Floats, columns: Columns = PLAIN) -> Floats:
    """cells × columns: what each may hold such that its pool can lose its largest cell.

    A cell alone in its pool may be full: there is nobody to keep anything free for.
    """
    found = capacity.copy()
    for pool in range(sites.pools.max(initial=-1) + 1):
        inside = sites.pools == pool
        if inside.sum() > 1:
            own = capacity[inside]
            total = own.sum(axis=0)
            spared = columns.spared & np.isfinite(total) & (total > 0)
            found[inside] = own * (1.0 - np.divide(own.max(axis=0), total, out=np.zeros_like(total), where=spared))
    return found


def sums(groups: Integers, values: Floats, count: int) -> Floats:
    """count × columns: the rows of `values` added up by group."""
    columns = [np.bincount(groups, values[:, column], count) for column in range(values.shape[1])]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def check(fleet: Fleet) -> None:
    """ValueError when the arrays do not belong together, or are no loads at all."""
    tenants, cells, kinds = len(fleet.tenants), len(fleet.sites), len(fleet.kinds)
    wide = len(fleet.columns)
    shapes = {
        "capacity": (fleet.capacity.shape, (cells, wide)),
        "held": (fleet.held.shape, (cells, wide)),
        "demand": (fleet.demand.shape, (tenants, wide)),
        "bytes": (fleet.bytes.shape, (tenants,)),
        "home": (fleet.home.shape, (tenants,)),
        "kind": (fleet.kind.shape, (tenants,)),
        "pinned": (fleet.pinned.shape, (tenants,)),
        "cooling": (fleet.cooling.shape, (tenants,)),
    }
    for name, (shape, due) in shapes.items():
        if shape != due:
            raise ValueError(f"{name} is {shape}, and should be {due}")
    for name, numbers in {"capacity": fleet.capacity, "demand": fleet.demand, "held": fleet.held}.items():
        if not (numbers >= 0).all():
            raise ValueError(f"{name} has a negative number or none")
    if not np.isfinite(fleet.demand).all():
        raise ValueError("demand is not finite")
    for name, indices, most in (("home", fleet.home, cells), ("kind", fleet.kind, kinds)):
        if tenants and not (indices.min() >= 0 and indices.max() < most):
            raise ValueError(f"{name} names one that is not there")
