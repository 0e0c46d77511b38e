-- All that nobody is at, whenever it was committed: never "greater than the last one seen". For each of the tenants $1
-- at most $2, without those hinted lately ($4, as tenant/job); first everybody's first, then everybody's second.
SELECT asked.tenant_id, due.job_id
FROM unnest($1::text[]) asked (tenant_id)
CROSS JOIN LATERAL (
    SELECT either.*, row_number() OVER (ORDER BY either.priority DESC, either.due_at) AS place
    FROM (
        (SELECT j.job_id, j.priority, j.run_at AS due_at FROM cell.jobs j
         WHERE j.tenant_id = asked.tenant_id AND j.state = 'waiting' AND j.run_at <= now()
           AND j.tenant_id || '/' || j.job_id <> ALL ($4::text[])
         ORDER BY j.priority DESC, j.run_at LIMIT $2)
        UNION ALL
        (SELECT j.job_id, j.priority, j.lease_until FROM cell.jobs j
         WHERE j.tenant_id = asked.tenant_id AND j.state = 'running' AND j.lease_until <= now()
           AND j.tenant_id || '/' || j.job_id <> ALL ($4::text[])
         ORDER BY j.lease_until LIMIT $2)
    ) either
) due
WHERE due.place <= $2
ORDER BY due.place, due.priority DESC, due.due_at LIMIT $3
