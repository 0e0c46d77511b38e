-- One round trip: whether the same request runs right now, and what it answered when it ran before.
SELECT mine, digest, status, headers, body FROM cell.begin_idempotent($1, $2, $3)
