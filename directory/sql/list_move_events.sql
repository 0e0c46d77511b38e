-- What happened to a move, in order.
SELECT move_id, number, at, phase, text, detail FROM directory.move_events
WHERE move_id = $1 AND number > $2
ORDER BY number
LIMIT $3
