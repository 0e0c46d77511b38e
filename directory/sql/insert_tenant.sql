-- A tenant's name is taken for ever: nobody takes over what is left of a deleted one.
INSERT INTO directory.tenants
    (tenant_id, display_name, plan, region, state, revision, creation_key, creation_digest,
     requests_per_second, request_burst, customer, tags, revenue, dedicated_to)
VALUES ($1, $2, $3, $4, 'active', nextval('directory.epochs'), $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (tenant_id) DO NOTHING
RETURNING tenant_id
