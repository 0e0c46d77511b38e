"""Pure rules of placement. No I/O, no clock, no randomness, no logging.

- `choose`   which cell a tenant goes to, with reasons and runners-up
- `compare`  what is wrong between a cell's fences and the directory's assignments
- `pacing`   how fast a plan is carried out: budgets, quiet hours, how long it takes
- `moving`   what happens next with a move, and what may be asked for
- `proof`    whether what answers at an address is the cell that was registered, and what it tells of itself
- `recovering` what a lost cell needs to come back, and what becomes of its moves
- `standing` how a cell is, by all who can tell
- `roles`    who may do what, and how tokens are given
- `recording` what the audit log keeps of requests and answers
"""
