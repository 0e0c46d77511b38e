"""Fleets to plan for: tenants of very different sizes, each heavy in something else, in unevenly filled cells."""

import numpy as np

from placement.balancing.choosing import Cells
from placement.balancing.fleet import Fleet
from placement.balancing.resources import RESOURCES, TENANTS, Floats
from placement.balancing.sites import Needs, Site, Sites

GIB = 2.0**30
CELL = np.array([64.0, 256 * GIB, 2048 * GIB, 10e9])
"""CPUs, bytes of memory and storage, bits a second of one cell."""
IN_USE = 0.6
"""Share of the fleet's capacity."""
LARGEST = 0.2
"""Of what an average cell holds: nobody is larger."""
UNEVEN = 0.35
"""Spread (of the logarithm) of how many tenants cells got."""
CAP = 2.5
"""How much revenue, and how many top-tier tenants, a cell may hold: so many times its share."""


def uneven(tenants: int, cells: int, seed: int = 1, regions: int = 1) -> Fleet:
    """A fleet of so many tenants; their sizes are log-normal, and resources depend on each other only in part.

    With more than one region half of the tenants are bound to theirs.
    """
    rng = np.random.default_rng(seed)
    each = tenants / cells
    size = rng.lognormal(0.0, 1.2, (tenants, 1)) * rng.lognormal(0.0, 0.7, (tenants, 4))
    size = np.minimum(size / size.mean(axis=0) / each, LARGEST)
    size /= size.sum(axis=0) / cells
    revenue = size.mean(axis=1) * rng.lognormal(0.0, 0.5, tenants)
    demand = np.zeros((tenants, len(RESOURCES)))
    demand[:, :4] = size * IN_USE * CELL
    demand[:, TENANTS] = 1.0
    demand[:, TENANTS + 1] = revenue
    demand[:, TENANTS + 2] = revenue >= np.quantile(revenue, 0.98)
    caps = CAP * demand[:, TENANTS + 1 :].sum(axis=0) / cells
    weight = rng.lognormal(0.0, UNEVEN, cells)
    home = rng.choice(cells, tenants, p=weight / weight.sum())
    region = np.arange(cells) % regions
    bound = (rng.random(tenants) < 0.5) & (regions > 1)
    return Fleet(
        sites=Sites([Site(f"cell-{number:04}", f"region-{region[number]}") for number in range(cells)]),
        capacity=np.tile(np.array([*CELL, each / IN_USE, *caps]), (cells, 1)),
        tenants=[f"tenant-{number}" for number in range(tenants)],
        demand=demand,
        home=home.astype(np.int64),
        kind=np.where(bound, 1 + region[home], 0).astype(np.int64),
        kinds=[Needs(), *(Needs(frozenset({f"region-{number}"})) for number in range(regions))],
        bytes=demand[:, 2].copy(),
        pinned=np.zeros(tenants, dtype=np.bool_),
        cooling=np.zeros(tenants, dtype=np.bool_),
    )


def fleet_of_cells(cells: int, seed: int = 1) -> Cells:
    """Cells that one is chosen of: regions, tags, dedicated and cordoned ones, each filled in its own way."""
    rng = np.random.default_rng(seed)
    sites = [
        Site(
            f"cell-{number:04}",
            f"region-{number % 5}",
            "cordoned" if rng.random() < 0.03 else "open",
            frozenset(tag for tag, share in (("pci", 0.4), ("hipaa", 0.3)) if rng.random() < share),
            "acme" if rng.random() < 0.02 else "",
            (1, int(rng.integers(3))),
        )
        for number in range(cells)
    ]
    capacity = np.tile(np.array([*CELL, 1000.0, 1e6, 50.0]), (cells, 1))
    load: Floats = capacity * rng.uniform(0.3, 0.9, (cells, 1)) * rng.uniform(0.8, 1.05, (cells, len(RESOURCES)))
    return Cells(Sites(sites), capacity, load, load * 0.01, rng.random(cells) < 0.01)


def small(seed: int) -> Fleet:
    """Two to five cells and a few tenants, some of which need what only some cells have."""
    rng = np.random.default_rng(seed)
    cells = int(rng.integers(2, 6))
    tenants = int(rng.integers(cells, cells * 6))
    demand = np.zeros((tenants, len(RESOURCES)))
    demand[:, :4] = rng.lognormal(0.0, 0.8, (tenants, 4))
    demand[:, TENANTS] = 1.0
    capacity = np.full((cells, len(RESOURCES)), np.inf)
    capacity[:, :5] = demand[:, :5].sum(axis=0) / cells / 0.35 * rng.uniform(0.7, 1.3, (cells, 1))
    sites = [Site(f"cell-{n}", "eu", tags=frozenset({"pci"} if n % 2 == 0 else ())) for n in range(cells)]
    kind = (rng.random(tenants) < 0.3).astype(np.int64)
    anywhere, tagged = rng.integers(0, cells, tenants), 2 * rng.integers(0, (cells + 1) // 2, tenants)
    return Fleet(
        sites=Sites(sites),
        capacity=capacity,
        tenants=[f"tenant-{number}" for number in range(tenants)],
        demand=demand,
        home=np.where(kind == 1, tagged, anywhere),
        kind=kind,
        kinds=[Needs(), Needs(tags=frozenset({"pci"}))],
        bytes=demand[:, 2] * GIB,
        pinned=np.zeros(tenants, dtype=np.bool_),
        cooling=np.zeros(tenants, dtype=np.bool_),
    )
