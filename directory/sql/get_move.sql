-- One move.
SELECT * FROM directory.moves WHERE move_id = $1
