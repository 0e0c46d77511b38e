"""The history checker under an adversary: what was acknowledged is there, once, in order, wherever a tenant goes.

- `__main__`  runs, prints, writes results/history.json
- `run`       one run: clients, moves and adversary together; then everything is healed, read and judged
- `stage`     the platform, with a second mover, and with proxies on its ways
- `proxy`     a TCP proxy that can be told to misbehave; `through` leads a mover through one
- `clients`   a tenant's clients, and what they note; `calls` one request of theirs
- `moving`    moves: planned, cancelled, reversed, confirmed; `desk` placement's API for it
- `adversary` kills, stops and cuts, by a seed
- `unfenced`  a platform without its fence, which must be found out
- `rules/`    what a history must be like, decided by pure code
"""
