-- A limit is for routers alone: no cell has to carry it out, so the revision stays.
UPDATE directory.tenants SET requests_per_second = $2, request_burst = $3, updated_at = now()
WHERE tenant_id = $1
