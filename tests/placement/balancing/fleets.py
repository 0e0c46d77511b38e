"""Fleets for tests: by hand, and by chance."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from placement.balancing.fleet import Fleet
from placement.balancing.resources import PLAIN, RESOURCES, TENANTS, Columns, Floats
from placement.balancing.sites import Needs, Site, Sites

WIDE = len(RESOURCES)
STATES = ("open", "open", "open", "open", "cordoned", "draining", "failed", "joining")


def row(cpu: float = 0.0, storage: float = 0.0, revenue: float = 0.0, top_tier: float = 0.0) -> Floats:
    """What one tenant takes."""
    return np.array([cpu, 0.0, storage, 0.0, 1.0, revenue, top_tier])


def holds(cpu: float = np.inf, storage: float = np.inf, tenants: float = np.inf, revenue: float = np.inf,
          top_tier: float = np.inf) -> Floats:  # fmt: skip
    """What one cell holds."""
    return np.array([cpu, np.inf, storage, np.inf, tenants, revenue, top_tier])


def fleet(
    sites: Sequence[Site],
    capacity: Sequence[Floats] | Floats,
    demand: Sequence[Floats] | Floats,
    home: Sequence[int],
    kind: Sequence[int] | None = None,
    kinds: Sequence[Needs] = (Needs(),),
    carried: Sequence[float] | None = None,
    pinned: Sequence[int] = (),
    cooling: Sequence[int] = (),
    columns: Columns = PLAIN,
) -> Fleet:
    """One by hand; `pinned` and `cooling` name tenants by number."""
    count = len(home)
    return Fleet(
        sites=Sites(sites),
        capacity=np.array(capacity, dtype=float).reshape(len(sites), len(columns)),
        tenants=[f"tenant-{number}" for number in range(count)],
        demand=np.array(demand, dtype=float).reshape(count, len(columns)),
        home=np.array(home, dtype=np.int64),
        kind=np.array(kind if kind is not None else [0] * count, dtype=np.int64),
        kinds=kinds,
        bytes=np.array(carried if carried is not None else [2.0**30] * count, dtype=float),
        pinned=np.isin(np.arange(count), pinned),
        cooling=np.isin(np.arange(count), cooling),
        columns=columns,
    )


def lose(present: Fleet, cell: int) -> Fleet:
    """The same with one cell failed."""
    sites = list(present.sites.sites)
    sites[cell] = replace(sites[cell], state="failed")
    return replace(present, sites=Sites(sites))


@st.composite
def fleets(draw: st.DrawFn, most_cells: int = 5, most_tenants: int = 20) -> Fleet:
    """Any small fleet: tenants may be where they may not be, cells full, draining, failed, dedicated."""
    cells = draw(st.integers(1, most_cells))
    tenants = draw(st.integers(0, most_tenants))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sites = [
        Site(
            f"cell-{number}",
            draw(st.sampled_from(["eu", "us"])),
            draw(st.sampled_from(STATES)),
            draw(st.sampled_from([frozenset(), frozenset({"pci"})])),
            draw(st.sampled_from(["", "", "", "acme"])),
            draw(st.sampled_from([(1,), (2,)])),
        )
        for number in range(cells)
    ]
    kinds = [
        Needs(),
        Needs(frozenset({"eu"})),
        Needs(tags=frozenset({"pci"})),
        Needs(dedicated="acme"),
        Needs(least_version=(2,)),
    ]
    demand = np.zeros((tenants, WIDE))
    demand[:, :4] = rng.lognormal(0, 1, (tenants, 4)) * (rng.random((tenants, 4)) < 0.9)
    demand[:, TENANTS] = 1
    demand[:, TENANTS + 1] = rng.lognormal(0, 1, tenants)
    demand[:, TENANTS + 2] = rng.random(tenants) < 0.2
    fullness = draw(st.floats(0.2, 1.2))
    capacity = np.maximum(demand.sum(axis=0) / cells / fullness, 1e-3) * rng.uniform(0.6, 1.4, (cells, WIDE))
    capacity[rng.random((cells, WIDE)) < 0.1] = np.inf
    return Fleet(
        sites=Sites(sites),
        capacity=capacity,
        tenants=[f"tenant-{number}" for number in range(tenants)],
        demand=demand,
        home=rng.integers(0, cells, tenants),
        kind=rng.choice(len(kinds), tenants, p=[0.6, 0.1, 0.1, 0.1, 0.1]),
        kinds=kinds,
        bytes=demand[:, 2] * 2.0**30,
        pinned=rng.random(tenants) < 0.1,
        cooling=rng.random(tenants) < 0.1,
        held=capacity.min(axis=0, initial=1e9) * 0.05 * (rng.random((cells, 1)) < 0.2),
    )
