-- What was decided, by whom; or, with $1, what came of it. Number and time are the database's.
INSERT INTO directory.audit (concludes, actor, role, action, targets, request_id, outcome, detail)
VALUES ($1, $2, $3, $4, $5::text[], $6, $7, $8::jsonb)
RETURNING number
