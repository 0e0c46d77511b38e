-- The first word counts: to say it again changes nothing.
INSERT INTO cell.orchestration_signals (orchestration_id, name, payload)
SELECT o.orchestration_id, $2, $3 FROM cell.orchestrations o WHERE o.orchestration_id = $1 AND o.outcome IS NULL
ON CONFLICT DO NOTHING RETURNING name
