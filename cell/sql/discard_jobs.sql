-- Jobs in some states, named ones or a bounded bite, are not to be done any more. SKIP LOCKED: a worker claims them.
DELETE FROM cell.jobs WHERE job_id = ANY (ARRAY(
    SELECT d.job_id FROM cell.jobs d
    WHERE d.state = ANY ($1::text[]) AND ($2::text[] IS NULL OR d.job_id = ANY ($2))
      AND ($3::text IS NULL OR d.actor = $3)
    ORDER BY d.updated_at, d.job_id LIMIT $4 FOR UPDATE SKIP LOCKED))
