"""The one truth of which cell a tenant lives in, and which cells exist; the only place where programs meet.

In reading order:

- `values`     what the directory speaks of: cells, tenants, assignments, changes, snapshots
- `rules/`     pure: state tables of cells, tenants and moves, names, which addresses may be connected to
- `truth`      the seam of the truth; `postgres` keeps it, `memory` is its twin for tests and trials
- `moves`      the seam of moves between cells; `postgres_moves` keeps them, `memory_moves` is its twin
- `loads`      the seam of what tenants take; `postgres_loads` keeps it, `memory_loads` is its twin
- `plans`      the seam of plans of many moves; `postgres_plans` keeps them, `memory_plans` is its twin
- `audit`      the seam of who decided what; `postgres_audit` keeps it, `memory_audit` is its twin
- `uses`       the seam of what pools used on each day; `postgres_uses` keeps it, `memory_uses` is its twin
- `reservations` the seam of room in cells, promised and reserved; `postgres_reservations`, `memory_reservations`
- `feed`       the seam of the cache that routers follow; `redis_feed` keeps it, `memory_feed` is its twin
- `packed`     a million tenants in little memory, compared and changed in no time (no I/O)
- `wire`       snapshots and changes as bytes (pure); `turns` are how long work leaves the loop to others
- `publisher`  carries changes from the truth to the cache; may die, run twice, or start from nothing
- `registry`   the seam of who is running and where: Redis, Consul, and a twin; `announcing` uses it
- `leadership` the seam of who leads, and in which term: Postgres, Consul, both at once, a twin; `leading` uses it
- `pointer`    the seam of how far changes are published, told by a second witness: Redis, Consul, and a twin
- `consul_agent`, `consul_watch` how Consul is called, and watched without trusting it
- `fence/`     the SQL by which a cell's own database refuses writes that are not its own
- `control/`   the contract between the control plane and a cell: models, client, tokens

The truth decides; every cache may be stale, lost or wrong without harm, because the fence in the cell's
database refuses what does not belong there. I/O happens in `postgres` and the `postgres_…` beside it (by
`transactions`), `redis_feed`, the registries, locks and terms, `resolver` and `control.client`; `errors` is
what all of them answer instead of a value.
"""
