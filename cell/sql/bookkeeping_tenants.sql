-- A page of the tenants that are served here, and what there is to do for each: one look into each index a tenant.
SELECT s.tenant_id, s.epoch,
       (SELECT n.due_at FROM cell.namespace_storage n
        WHERE n.tenant_id = s.tenant_id AND n.due_at <= now() ORDER BY n.due_at LIMIT 1) AS hours,
       (SELECT true FROM cell.usage_records r
        WHERE r.tenant_id = s.tenant_id AND r.rolled_at IS NULL LIMIT 1) AS records,
       (SELECT r.rolled_at FROM cell.usage_records r
        WHERE r.tenant_id = s.tenant_id AND r.rolled_at <= now() - interval '2 days'
        ORDER BY r.rolled_at LIMIT 1) AS usage_records,
       (SELECT m.minute FROM cell.usage_minutes m
        WHERE m.tenant_id = s.tenant_id AND m.minute <= now() - interval '400 days'
        ORDER BY m.minute LIMIT 1) AS usage_minutes,
       (SELECT a.at FROM cell.audit_entries a
        WHERE a.tenant_id = s.tenant_id AND a.at <= now() - interval '400 days' ORDER BY a.at LIMIT 1) AS audit_entries
FROM cell.served($1, $2) s ORDER BY s.tenant_id
