-- The next of a move's events; its row is locked, so no two get one number.
INSERT INTO directory.move_events (move_id, number, phase, text, detail)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4::jsonb FROM directory.move_events WHERE move_id = $1
