-- A wish is acted on at once, also by one that waits to try again.
UPDATE directory.moves SET wish = $2, paused = $3, claim_after = NULL, updated_at = clock_timestamp()
WHERE move_id = $1
RETURNING *
