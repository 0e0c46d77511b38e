-- They were made for a fleet as it was.
UPDATE directory.plans
SET state = 'STOPPED', ended_at = clock_timestamp(), updated_at = clock_timestamp(),
    error = 'the control database was restored'
WHERE ended_at IS NULL
RETURNING plan_id
