"""A fleet that is out of balance is levelled while everybody works: `make demo-rebalance`, for people to watch.

- `fleet`   three cells, most of the tenants in one of them; all of them ask all the time
- `show`    what happens, in order: uneven, planned, approved, moved, level
"""
