-- The cell has carried the latest decision out, and knows of the customer too: nobody else has to keep who that is.
UPDATE directory.tenants SET applied_revision = $2, customer = NULL, updated_at = now()
WHERE tenant_id = $1 AND revision = $2
