-- What holds or shows rows without being a table of this database.
SELECT format('%I.%I', n.nspname, c.relname) AS relation, c.relkind::text AS kind
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cellway', 'upgrades')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY 1
