"""What a tenant takes from a cell.

The first five are levelled, and their capacity is the cell's. The last two only have a cap: how much of the
company one cell may take along when it is lost.
"""

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
SPARE = tuple(name for name in LEVELLED if name != "tenants")
"""Of these a cell keeps so much free that the others can take over a lost one's; caps know no such share."""
