"""Placement's mathematics: which cell suits a tenant, and which moves level the fleet. Pure; numpy over arrays.

In reading order:

- `resources`     what a tenant takes from a cell: what is levelled, and what is only capped
- `sites`         cells as arrays, and the hard rules about who may live in which
- `fleet`         tenants and cells as arrays; what a cell may hold at most, with one cell lost
- `choosing`      one of a thousand cells for one tenant, with reasons and runners-up
- `demand`        what a tenant is expected to take, by the hour of the week
- `goals`         when to begin, when to stop, what a move must be worth
- `layout`        where everybody lives at some moment of the search; knows the cells' excess
- `search`        local search: hottest cell first; single moves, swaps, short chains
- `relaxation`    linear programs: how level the fleet could be at best, and the cheapest way there by classes
- `planning`      `rebalance`: homes for the misplaced, then no overload, then balance, then fewer moves
- `explaining`    a plan in words and numbers
- `waves`         a plan in an order that no cell is ever overfilled by
- `forecasting`   on which day a pool will be full, and how many cells it needs

There is no clock and no chance in here: whoever calls says when time is over, and gives a seed.
"""
