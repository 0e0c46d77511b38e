-- A tenant table that forgot its tenant_id would escape all other checks: what is shared is listed here by name.
SELECT format('%s: no tenant_id, and not known to be shared', c.oid::regclass) AS finding
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'upgrades')
  AND format('%I.%I', n.nspname, c.relname) NOT IN ('cell.shards', 'cell.providers', 'cell.prepared_resources',
                                                  'cellway.tables', 'cellway.forgotten')
  AND NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
ORDER BY 1
