-- Its cell has removed it, by a decision that was forgotten here.
UPDATE directory.tenants SET state = 'deleted', revision = fresh.revision, applied_revision = fresh.revision,
    customer = NULL, updated_at = now()
FROM (SELECT nextval('directory.epochs') AS revision) fresh
WHERE tenant_id = $1
