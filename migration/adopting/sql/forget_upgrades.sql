-- What was applied here is taken out; says whether anything else was ever applied.
WITH gone AS (DELETE FROM upgrades.applied WHERE component = ANY ($1) RETURNING component)
SELECT EXISTS (SELECT FROM upgrades.applied WHERE component <> ALL ($1)) AS others, (SELECT count(*) FROM gone)
