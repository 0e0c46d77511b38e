-- The sequences that columns of those tables own: serial or identity.
SELECT t.relation AS table,
       a.attname AS column,
       format('%I.%I', n.nspname, s.relname) AS relation,
       q.seqincrement > 0 AS ascending
FROM cellway.tables t
JOIN pg_depend d ON d.refobjid = to_regclass(t.relation) AND d.refclassid = 'pg_class'::regclass
    AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
ORDER BY t.relation, a.attname
