-- Which tables are adopted already.
SELECT relation, tenant_column::text AS tenant, bound FROM cellway.tables
