-- The cell has carried the latest decision out.
UPDATE directory.tenants SET applied_revision = $2, updated_at = now()
WHERE tenant_id = $1 AND revision = $2
