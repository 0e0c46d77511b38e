"""One cell: a whole stack that serves some of the tenants, and needs nothing outside itself to do so.

In reading order:

- `rules/`        what is decided, as pure code: state tables, keys, ETags, digests
- `schema/`       the database by numbered upgrades, and `whole.sql`, which is the same at once
- `database`      transactions of one tenant, with deadlines; Postgres' errors become ours here
- `access`        who asks, and whether this cell may answer: fence, key, suspension
- `quotas`        how much a tenant may have, looked at by the change that adds
- `usage`         counting what is used, in the transaction that uses it
- `audit`         who changed what, in the transaction of the change
- `api/`          the tenants' API
- `control/`      the control contract, for the control plane alone
- `jobs/`         single actions, done once, now or later
- `orchestrator/` sagas: steps that happen once, and the way back when one cannot
- `workflows/`    what this cell does in several steps
- `work/`         finding work in Postgres and sharing it out: hints, the sweep, turns, Dramatiq's threads
- `checks`        what must hold in this cell's database, examined on demand
- `schema_state`  applying the schema at start, or waiting for it
- `app/`          builds both programs; `__main__` is the API, `worker` the worker

I/O happens in `database` and in those who use its connections, and in `work.hints` (Redis).
"""
