-- How far moves are is older than what their other ends know; and whoever carried one before now ($1) is late here.
WITH gone AS (DELETE FROM cellway.moves RETURNING token)
UPDATE cellway.forgotten SET token = greatest(token, $1, (SELECT max(gone.token) FROM gone))
