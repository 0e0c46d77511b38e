-- A table that refers to a tenant's rows, or has their column, and came after the adoption: it would stay behind.
SELECT DISTINCT format('%I.%I', n.nspname, c.relname) AS finding
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN cellway.tables t
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cellway', 'upgrades')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM cellway.tables m WHERE to_regclass(m.relation) = c.oid)
  AND NOT EXISTS (SELECT FROM cellway.staying s WHERE to_regclass(s.relation) = c.oid)
  AND (
      EXISTS (
          SELECT FROM pg_constraint o
          WHERE o.contype = 'f' AND o.conrelid = c.oid AND o.confrelid = to_regclass(t.relation)
      )
      OR EXISTS (
          SELECT FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attname = t.tenant_column AND NOT a.attisdropped
            AND NOT EXISTS (
                SELECT FROM pg_index i, pg_attribute k
                WHERE i.indrelid = to_regclass(t.relation) AND i.indisprimary AND i.indnkeyatts = 1
                  AND k.attrelid = i.indrelid AND k.attnum = i.indkey[0] AND k.attname = t.tenant_column
            )
      )
  )
ORDER BY 1
