-- All that nobody is at, whenever it was committed: never "greater than the last one seen".
SELECT tenant_id, job_id, cell.running_epoch(tenant_id) AS epoch
FROM (
    (SELECT tenant_id, job_id, priority, run_at AS due_at FROM cell.jobs
     WHERE state = 'waiting' AND run_at <= now() ORDER BY priority DESC, run_at LIMIT $1)
    UNION ALL
    (SELECT tenant_id, job_id, priority, lease_until FROM cell.jobs
     WHERE state = 'running' AND lease_until <= now() ORDER BY lease_until LIMIT $1)
) due
ORDER BY priority DESC, due_at LIMIT $1
