-- Without forced row security a forgotten condition would show one tenant's rows to another.
SELECT format('%s: row security is %s', c.oid::regclass,
              CASE WHEN c.relrowsecurity THEN 'not forced on its owner' ELSE 'off' END) AS finding
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY 1
