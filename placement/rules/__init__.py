"""Pure rules of placement. No I/O, no clock, no randomness, no logging.

- `choose`   which cell a tenant goes to, with reasons and runners-up
- `compare`  what is wrong between a cell's fences and the directory's assignments
- `filling`  what a pool uses and may hold, when it will be full, and why
- `pacing`   how fast a plan is carried out: budgets, quiet hours, how long it takes
- `moving`   what happens next with a move, and what may be asked for
- `proof`    whether what answers at an address is the cell that was registered
"""
