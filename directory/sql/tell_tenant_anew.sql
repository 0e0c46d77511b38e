-- At a fresh revision, so that its cell is told once more what is decided.
UPDATE directory.tenants SET revision = nextval('directory.epochs'), updated_at = now() WHERE tenant_id = $1
