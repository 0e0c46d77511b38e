-- Named jobs, which nobody claims or finishes before the operator's transaction ends.
SELECT job_id, state FROM cell.jobs WHERE job_id = ANY ($1::text[]) ORDER BY job_id FOR UPDATE
