-- Whether there is anything to do, before anything is locked.
SELECT operation_id FROM cell.jobs WHERE job_id = $1
