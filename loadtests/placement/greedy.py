"""A rebalancer as shard managers have it: by one number for each tenant, the fullest cell gives to the emptiest.

It follows what Citus documents of its strategy: while a cell is above the mean by more than a threshold, the
largest tenant of the fullest cell that brings the two closer together goes to the emptiest one.
"""

import heapq
import time

import numpy as np

from placement.balancing.fleet import Fleet
from placement.balancing.resources import LEVELLED, Integers

THRESHOLD = 0.02


def rebalance(fleet: Fleet, seconds: float) -> Integers:
    """Where everybody lives then. A tenant's number is its mean share of what is levelled."""
    wide = len(LEVELLED)
    size = (fleet.demand[:, :wide] / fleet.demand[:, :wide].sum(axis=0)).mean(axis=1)
    cells = len(fleet.sites)
    where = fleet.home.copy()
    load = np.bincount(where, size, cells)
    mean = load.mean()
    members: list[list[tuple[float, int]]] = [
        [(-float(size[tenant]), tenant) for tenant in np.flatnonzero(where == cell).tolist()]
        for cell in range(cells)
    ]
    for each in members:
        heapq.heapify(each)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        full, empty = int(load.argmax()), int(load.argmin())
        if load[full] <= mean * (1 + THRESHOLD) and load[empty] >= mean * (1 - THRESHOLD):
            break
        passed = []
        while members[full] and -members[full][0][0] >= load[full] - load[empty]:
            passed.append(heapq.heappop(members[full]))
        if not members[full]:
            break
        moved = heapq.heappop(members[full])
        for other in passed:
            heapq.heappush(members[full], other)
        heapq.heappush(members[empty], moved)
        where[moved[1]] = empty
        load[full] += moved[0]
        load[empty] -= moved[0]
    return where
