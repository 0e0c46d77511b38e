-- Who takes the way back of a move just now.
SELECT move_id FROM directory.moves WHERE reverses = $1 AND ended_at IS NULL
