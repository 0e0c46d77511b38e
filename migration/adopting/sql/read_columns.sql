-- Their columns: the type beneath domains, where it comes from, and the sequence that fills it.
WITH RECURSIVE beneath AS (
    SELECT y.oid AS type, y.oid AS base, y.typtype, y.typbasetype FROM pg_type y
    UNION ALL
    SELECT b.type, y.oid, y.typtype, y.typbasetype
    FROM beneath b JOIN pg_type y ON y.oid = b.typbasetype WHERE b.typtype = 'd'
)
SELECT format('%I.%I', n.nspname, c.relname) AS relation,
       a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype = 'b' THEN y.typname::text ELSE '' END
           AS base,
       y.typtype = 'e' AS enum,
       (
           SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
           WHERE d.classid = 'pg_type'::regclass AND d.objid = y.oid AND d.deptype = 'e'
             AND d.refclassid = 'pg_extension'::regclass LIMIT 1
       ) AS extension,
       NOT a.attnotnull AS nullable,
       a.attgenerated <> '' AS generated,
       s.sequence,
       coalesce(s.bounded, false) AS sequence_bounded,
       coalesce(s.owned, false) AS sequence_owned
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN beneath b ON b.type = a.atttypid AND b.typtype <> 'd'
JOIN pg_type y ON y.oid = b.base
LEFT JOIN LATERAL (
    SELECT format('%I.%I', m.nspname, q.relname) AS sequence, found.owned,
           w.seqmin > 1 OR w.seqmax < CASE w.seqtypid
               WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807
           END AS bounded
    FROM (
        SELECT d.objid AS oid, true AS owned FROM pg_depend d
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
          AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        UNION ALL
        SELECT d.refobjid, false FROM pg_attrdef f
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
            AND d.refclassid = 'pg_class'::regclass
        WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
    ) AS found
    JOIN pg_class q ON q.oid = found.oid AND q.relkind = 'S'
    JOIN pg_sequence w ON w.seqrelid = q.oid
    JOIN pg_namespace m ON m.oid = q.relnamespace
    ORDER BY found.owned DESC LIMIT 1
) AS s ON true
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cellway', 'upgrades')
  AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY a.attrelid, a.attnum
