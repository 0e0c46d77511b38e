"""What a tenant takes from a cell.

The first five are levelled, and their capacity is the cell's. The last two only have a cap: how much of the
company one cell may take along when it is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

LEVELLED = ("cpu", "memory", "storage", "network", "tenants")
CAPPED = ("revenue", "top_tier")
RESOURCES = (*LEVELLED, *CAPPED)
TENANTS = RESOURCES.index("tenants")
"""A capacity and a cap in one: every tenant takes 1 of it."""
VARYING = ("cpu", "network")
"""What tenants take of these depends on the hour; the others they hold all the time."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a fleet's arrays mean.

    `levelled`: load is brought to the mean of the pool. `spared`: a cell keeps so much free that the others can
    take over a lost one's; caps know no such share.
    """

    names: tuple[str, ...]
    levelled: Flags
    spared: Flags
    resource: Integers
    """Which of RESOURCES each column is about."""

    def __len__(self) -> int:
        return len(self.names)

    def spread(self, rows: Floats) -> Floats:
        """rows × columns, from rows × RESOURCES: the same at all times."""
        return rows[..., self.resource]


def columns(times: Sequence[str] = ()) -> Columns:
    """One for each resource; of those that vary one for each of the times, if any are named."""
    pairs = [
        (f"{name} {time}".strip(), name)
        for name in RESOURCES
        for time in (times if name in VARYING and times else ("",))
    ]
    of = [name for _, name in pairs]
    return Columns(
        names=tuple(told for told, _ in pairs),
        levelled=np.array([name in LEVELLED for name in of]),
        spared=np.array([name in LEVELLED and name != "tenants" for name in of]),
        resource=np.array([RESOURCES.index(name) for name in of], dtype=np.int64),
    )


PLAIN = columns()
