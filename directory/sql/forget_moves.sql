-- Moves that ended $1 seconds ago, at most $2.
SELECT directory.forget_moves($1, $2)
