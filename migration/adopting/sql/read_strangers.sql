-- What in our schema is not ours would go with it: the triggers of tables that are none of ours, views of somebody's.
SELECT DISTINCT format('%I.%I', n.nspname, c.relname) AS relation
FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class c ON c.oid = w.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
WHERE r.relnamespace = 'cellway'::regnamespace AND c.relnamespace <> r.relnamespace
