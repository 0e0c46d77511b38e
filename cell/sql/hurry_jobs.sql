-- Named jobs that wait for their time have it now; at their provider's they ask for a new turn.
UPDATE cell.jobs SET wake_at = clock_timestamp(), slot_at = NULL, updated_at = now()
WHERE job_id = ANY ($1::text[]) AND state = 'waiting' RETURNING lane
