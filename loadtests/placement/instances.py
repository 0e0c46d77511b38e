"""Fleets to plan for: tenants of very different sizes, each heavy in something else, in cells that filled unevenly."""

import numpy as np

from placement.balancing.fleet import Fleet
from placement.balancing.resources import RESOURCES, TENANTS
from placement.balancing.sites import Needs, Site, Sites

GIB = 2.0**30
MEAN_SHARE = 0.6
"""Of a fleet's capacity that is in use."""
LARGEST = 0.2
"""Of what an average cell holds: nobody is larger."""
UNEVEN = 0.35
"""Spread (of the logarithm) of how many tenants cells got."""
STORAGE_BYTES = 2048 * GIB


def uneven(tenants: int, cells: int, seed: int = 1, regions: int = 1) -> Fleet:
    """A fleet of so many tenants; sizes follow a log-normal law, and depend on each other only in part."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(0.0, 1.2, (tenants, 1)) * rng.lognormal(0.0, 0.7, (tenants, 4))
    each = tenants / cells
    size = np.minimum(size / size.mean(axis=0) / each, LARGEST)
    size /= size.sum(axis=0) / cells
    demand = np.zeros((tenants, len(RESOURCES)))
    demand[:, :4] = size * MEAN_SHARE * np.array([64.0, 256 * GIB, STORAGE_BYTES, 10e9])
    demand[:, TENANTS] = 1.0
    revenue = size.mean(axis=1) * rng.lognormal(0.0, 0.5, tenants)
    demand[:, TENANTS + 1] = revenue
    demand[:, TENANTS + 2] = revenue >= np.quantile(revenue, 0.98)
    capacity = np.empty((cells, len(RESOURCES)))
    capacity[:] = [64.0, 256 * GIB, STORAGE_BYTES, 10e9, each / MEAN_SHARE, *(2.5 * demand[:, TENANTS + 1 :].sum(axis=0) / cells)]
    weight = rng.lognormal(0.0, UNEVEN, cells)
    region = np.arange(cells) % regions
    home = _filled(demand, capacity, rng.choice(cells, tenants, p=weight / weight.sum()), region, rng)
    bound_to_region = rng.random(tenants) < 0.5
    kind = np.where(bound_to_region & (regions > 1), 1 + region[home], 0)
    return Fleet(
        sites=Sites([Site(f"cell-{n:04}", f"region-{n % regions}") for n in range(cells)]),
        capacity=capacity,
        tenants=range(tenants),  # type: ignore[arg-type]
        demand=demand,
        home=home.astype(np.int64),
        kind=kind.astype(np.int64),
        kinds=[Needs(), *(Needs(frozenset({f"region-{n}"})) for n in range(regions))],
        bytes=demand[:, 2] * 1.0,
        pinned=np.zeros(tenants, dtype=np.bool_),
        cooling=np.zeros(tenants, dtype=np.bool_),
    )


def _filled(demand, capacity, home, region, rng):  # type: ignore[no-untyped-def]
    return home
