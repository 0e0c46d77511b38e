-- Tenants on their way: what is known of them here is needed until they have arrived, and their rows are gone.
SELECT f.tenant_id, f.state, f.captured, f.move_id FROM cellway.fence f
WHERE f.captured OR f.state IN ('importing', 'fenced')
ORDER BY f.tenant_id LIMIT 20
