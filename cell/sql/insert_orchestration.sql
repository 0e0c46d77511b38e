-- Begun if and only if what asked for it was committed. No row: there is one of that name.
INSERT INTO cell.orchestrations (orchestration_id, workflow, version, target, state, payload, priority)
VALUES ($1, $2, $3, $4, 'PENDING', $5, $6)
ON CONFLICT DO NOTHING RETURNING *
