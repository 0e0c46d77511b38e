-- A page of the tenants that have dead jobs, for the operator: how many, and since when. Nothing of what they are about.
SELECT tenant_id, count(*) AS jobs, min(updated_at) AS oldest, max(updated_at) AS newest
FROM cell.jobs WHERE state = 'dead' AND tenant_id > $1 GROUP BY tenant_id ORDER BY tenant_id LIMIT $2
