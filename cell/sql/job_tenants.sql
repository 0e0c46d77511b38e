-- A page of the tenants that have jobs to be done, with the epoch at which these may run here, if they may.
-- From one tenant to the next by the index: a tenant costs the same however many jobs it has.
WITH RECURSIVE page (tenant_id, place) AS (
    SELECT $1::text COLLATE "C", 0
    UNION ALL
    SELECT (SELECT min(following.tenant_id) FROM (
                (SELECT j.tenant_id FROM cell.jobs j WHERE j.state = 'waiting' AND j.tenant_id > page.tenant_id
                 ORDER BY j.tenant_id LIMIT 1)
                UNION ALL
                (SELECT j.tenant_id FROM cell.jobs j WHERE j.state = 'running' AND j.tenant_id > page.tenant_id
                 ORDER BY j.tenant_id LIMIT 1)
            ) following),
           page.place + 1
    FROM page WHERE page.tenant_id IS NOT NULL AND page.place < $2
)
SELECT tenant_id, cell.running_epoch(tenant_id) AS epoch FROM page
WHERE place > 0 AND tenant_id IS NOT NULL ORDER BY place
