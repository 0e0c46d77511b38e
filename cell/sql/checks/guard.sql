-- The fence holds only where its guard stands: before every statement that writes, whatever the replication role.
-- tgtype 62: BEFORE, per statement, INSERT | DELETE | UPDATE | TRUNCATE. The fence's own tables are the one exception.
SELECT format('%s: the guard is missing, disabled or partial', c.oid::regclass) AS finding
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname <> 'cellway'
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
  AND NOT EXISTS (
      SELECT FROM pg_trigger t
      WHERE t.tgrelid = c.oid AND t.tgfoid = 'cellway.guard'::regproc AND t.tgenabled = 'A'
        AND t.tgtype = 62 AND t.tgqual IS NULL AND cardinality(t.tgattr::int2[]) = 0)
ORDER BY 1
