-- A move that this database has forgotten: the rows that it left here are of another time, too.
INSERT INTO cellway.moves (move_id, tenant_id, token, snapshot)
VALUES ($1, $2, $3, '9223372036854775807:9223372036854775807:')
ON CONFLICT (move_id) DO NOTHING
