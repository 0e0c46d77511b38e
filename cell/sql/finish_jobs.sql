-- In the transaction of the effects. Fewer rows than jobs: somebody else is the owner of one, and all is rolled back.
UPDATE cell.jobs j
SET state = 'done', wake_at = NULL, slot_at = NULL, last_error = NULL, updated_at = now(),
    expires_at = now() + make_interval(secs => $3)
FROM unnest($1::text[], $2::integer[]) AS done (job_id, attempts)
WHERE j.job_id = done.job_id AND j.attempts = done.attempts AND j.state = 'running'
