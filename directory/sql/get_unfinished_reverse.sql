-- Who takes the way back of a move just now; $2: phases in which it has brought the tenant back.
SELECT move_id FROM directory.moves WHERE reverses = $1 AND ended_at IS NULL AND phase <> ALL ($2::text[])
