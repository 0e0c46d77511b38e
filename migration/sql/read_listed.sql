-- The tables whose rows belong to tenants, as they were listed when they were captured.
SELECT relation, tenant_column::text AS tenant, bound FROM cellway.tables ORDER BY relation
