-- How many tenants are served here.
SELECT cell.tenant_count()
