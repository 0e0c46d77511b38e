"""How one process starts, speaks, and stops. It knows nothing of cells.

In reading order:

- `program`    one call that turns settings and a `build` function into a running process
- `settings`   frozen settings from the environment; unknown keys are refused, secrets never printed
- `lifecycle`  parts start in order, drain together, stop in reverse, each by a deadline
- `tasks`      the one place that may create background tasks
- `logs`       structured logs: columns on a terminal, JSON elsewhere
- `health`     named checks behind `/health/live` and `/health/ready`
- `admin`      the port for `/metrics`, health and what else is not public
- `site`       an aiohttp application bound to an address, as a part
- `tls/`       mutual TLS between the programs of a fleet, with files that may be replaced
- `clock`      the seam for time; `backoff` how long to wait before trying again (pure)
- `database`   Postgres pools with deadlines; `queries` SQL kept in files; `schema` numbered upgrades
- `api/`       HTTP conventions: problem+json, endpoints as data, OpenAPI, page tokens, filters
- `embedded/`  real Postgres and Redis servers without root or Docker

I/O happens in `site`, `database`, `schema` and `embedded/`; the rest is values and scheduling.
"""
