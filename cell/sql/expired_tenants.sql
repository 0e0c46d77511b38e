-- A page of the tenants that are served here, and since when rows of theirs are past their time: one look into each
-- index a tenant, so that nobody's pile hides anybody else's, nor makes the look dearer.
SELECT s.tenant_id, s.epoch,
       (SELECT k.expires_at FROM cell.idempotency_keys k
        WHERE k.tenant_id = s.tenant_id AND k.expires_at <= now() ORDER BY k.expires_at LIMIT 1) AS keys,
       (SELECT o.expires_at FROM cell.orchestrations o
        WHERE o.tenant_id = s.tenant_id AND o.expires_at <= now() ORDER BY o.expires_at LIMIT 1) AS orchestrations,
       (SELECT j.expires_at FROM cell.jobs j
        WHERE j.tenant_id = s.tenant_id AND j.expires_at <= now() ORDER BY j.expires_at LIMIT 1) AS jobs
FROM cell.served($1, $2) s ORDER BY s.tenant_id
