-- Whose rows this connection reads, by row security and by our statements, and for which move it writes.
SELECT set_config('app.tenant', $1, false), set_config('cellway.move', $2, false)
