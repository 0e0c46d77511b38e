-- Before removing the last rows: waits for the tenant's writers, and keeps new ones out until the fence is closed.
SELECT pg_advisory_xact_lock(cellway.lock_key($1))
