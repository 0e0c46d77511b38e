"""Many odd inputs in little time: a whole router in memory, without sockets, and a clock that can be turned on.

- `network`: an event loop whose connections are memory, and whose time goes on when told.
- `case`: one input: what a client and its cell say, in which pieces; as JSON, so that it can be repeated.
- `mutate`: new cases from old ones.
- `shell`: a router and its cell in that loop, and what must hold after each case.
- `hunt`: the search; what behaves in a new way is kept and mutated again.
- `python -m tests.router.fuzz --seconds 600` hunts; `--repeat FILE` runs what it found.
"""
