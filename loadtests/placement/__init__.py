"""Placement, measured: choosing and planning at full size, beside a solver and a greedy rebalancer; and a week.

- `__main__`   all of it; `make bench-placement`
- `instances`  fleets to plan for
- `measure`    one part, in a process of its own, so that its memory is its own
- `optima`     small fleets, beside what is proved to be the best
- `greedy`     a rebalancer as shard managers have it: the fullest gives to the emptiest, by one number
- `peer`       OR-tools' solver on the same fleet, in a process that can be killed
- `large`      what the service does for a large fleet: gathering, reckoning, solving with reasons, rooms
- `week`       seven days of load, and what the service does about it by itself; `make simulate`
- `world`      that load, and what placement learns of it
- `service`    placement's own loop over directories in memory, and movers that take time
- `picture`    load of cells over time, as SVG
"""
