-- Every request that writes shares this lock until it commits.
SELECT pg_advisory_xact_lock(cellway.lock_key(current_setting('app.tenant')))
