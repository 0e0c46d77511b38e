-- What moves have measured lately: those whose pause is known, the latest first.
SELECT * FROM directory.moves WHERE pause_ms IS NOT NULL ORDER BY move_id DESC LIMIT $1
