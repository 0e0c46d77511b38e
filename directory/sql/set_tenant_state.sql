-- A decision gets a fresh revision, so that a late messenger of an earlier one is recognised.
UPDATE directory.tenants SET state = $2, revision = nextval('directory.epochs'), updated_at = now()
WHERE tenant_id = $1
