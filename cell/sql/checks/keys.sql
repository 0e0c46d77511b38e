-- A key without tenant_id tells one tenant what another one has, and cannot move along with its tenant.
SELECT finding FROM (
    SELECT format('%s: no primary key', c.oid::regclass) AS finding
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'cellway')
      AND EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
    UNION ALL
    SELECT format('%s: unique key %s is without tenant_id', i.indrelid::regclass, i.indexrelid::regclass)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE i.indisunique AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'cellway')
      AND NOT a.attnum = ANY (i.indkey::int2[])
    UNION ALL
    SELECT format('%s: foreign key %I does not tie tenant_id to tenant_id', k.conrelid::regclass, k.conname)
    FROM pg_constraint k
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE k.contype = 'f'
      AND NOT EXISTS (
          SELECT FROM pg_attribute f
          WHERE f.attrelid = k.confrelid AND f.attname = 'tenant_id'
            AND array_position(k.conkey, a.attnum) = array_position(k.confkey, f.attnum))
) findings ORDER BY 1
