-- Whose rows are past their time, with the epoch at which they may be deleted.
SELECT tenant_id, cell.running_epoch(tenant_id) AS epoch
FROM (
    (SELECT tenant_id FROM cell.idempotency_keys WHERE expires_at <= now() ORDER BY expires_at LIMIT $1)
    UNION
    (SELECT tenant_id FROM cell.operations WHERE expires_at <= now() ORDER BY expires_at LIMIT $1)
) expired
