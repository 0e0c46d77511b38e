-- A part is written before an export is taken back or not at all.
SELECT pg_advisory_xact_lock(hashtextextended(current_setting('app.tenant') || ' export ' || $1, 3))
