-- Moves that ended long ago are removed, with what happened to them, by whoever carries moves.
CREATE INDEX moves_by_end ON directory.moves (ended_at) WHERE ended_at IS NOT NULL;
GRANT DELETE ON directory.moves, directory.move_events, directory.move_decisions TO directory_mover;
