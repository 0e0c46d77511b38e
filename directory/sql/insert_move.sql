-- A plan. Everything else about it is as its column's default says.
INSERT INTO directory.moves (move_id, tenant_id, source, destination, options, reason, reverses)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7)
RETURNING *
