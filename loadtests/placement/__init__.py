"""Placement, measured: choosing and planning at full size, beside a solver and a greedy rebalancer; and a week.

- `__main__`   all of it; `make bench-placement`
- `instances`  fleets to plan for
- `measure`    one part, in a process of its own, so that its memory is its own
- `optima`     small fleets, beside what is proved to be the best
- `greedy`     a rebalancer as shard managers have it: the fullest gives to the emptiest, by one number
- `peer`       OR-tools' solver on the same fleet, in a process that can be killed
- `week`       seven days of load, planned for every quarter of an hour; `make simulate`
- `picture`    load of cells over time, as SVG
"""
