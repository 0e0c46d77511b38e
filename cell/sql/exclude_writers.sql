-- Every request that writes shares this lock until it commits. Taken first of all, so that nobody waits in a circle.
SELECT pg_advisory_xact_lock(cellway.lock_key(current_setting('app.tenant')))
