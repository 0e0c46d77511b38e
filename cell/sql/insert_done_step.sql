-- What was done by whoever asked for the orchestration, in the same transaction.
INSERT INTO cell.orchestration_steps (orchestration_id, step, status, attempts, output, ended_at)
VALUES ($1, $2, 'COMPLETED', 1, $3, clock_timestamp())
