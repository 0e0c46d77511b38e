-- Who refers to whom, by foreign keys.
SELECT format('%I.%I', n.nspname, c.relname) AS relation,
       o.conname AS name,
       format('%I.%I', m.nspname, r.relname) AS referenced,
       ARRAY(
           SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY AS k (number, place)
           JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number ORDER BY k.place
       ) AS columns,
       ARRAY(
           SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY AS k (number, place)
           JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number ORDER BY k.place
       ) AS referenced_columns
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = o.confrelid
JOIN pg_namespace m ON m.oid = r.relnamespace
WHERE o.contype = 'f' AND n.nspname NOT IN ('cellway', 'upgrades')
ORDER BY relation, o.conname
