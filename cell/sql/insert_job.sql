-- The outbox: the job exists if and only if what asked for it was committed.
INSERT INTO cell.jobs (job_id, operation_id, actor, args, priority, state)
VALUES ($1, $2, $3, $4, $5, 'waiting')
