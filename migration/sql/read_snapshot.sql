-- What this transaction sees: the next step starts from it.
SELECT pg_current_snapshot()::text
