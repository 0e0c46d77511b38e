-- The columns of those tables, with what beneath domains they are made of.
WITH RECURSIVE columns AS (
    SELECT t.relation, a.attname, a.attnum, a.attrelid, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
           a.attidentity, a.attgenerated
    FROM unnest($1::text[]) AS t (relation)
    JOIN pg_attribute a ON a.attrelid = to_regclass(t.relation) AND a.attnum > 0 AND NOT a.attisdropped
),
beneath AS (
    SELECT DISTINCT y.oid AS type, y.oid AS base, y.typtype, y.typbasetype
    FROM columns c JOIN pg_type y ON y.oid = c.atttypid
    UNION ALL
    SELECT b.type, y.oid, y.typtype, y.typbasetype
    FROM beneath b JOIN pg_type y ON y.oid = b.typbasetype
    WHERE b.typtype = 'd'
)
SELECT c.relation,
       c.attname AS name,
       format_type(c.atttypid, c.atttypmod) AS type,
       format_type(c.atttypid, -1) AS plain_type,
       CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype = 'b' THEN y.typname::text ELSE '' END
           AS base,
       y.typsend <> 0 AND y.typreceive <> 0
           AND NOT (y.oid = ANY (kinds.numbers) OR y.typelem = ANY (kinds.numbers)) AS binary,
       NOT c.attnotnull AS nullable,
       c.atthasdef OR c.attidentity <> '' AS filled,
       c.attgenerated <> '' AS generated
FROM columns c
JOIN beneath b ON b.type = c.atttypid AND b.typtype <> 'd'
JOIN pg_type y ON y.oid = b.base
-- These hold numbers of objects, which every database gives anew; their text holds names.
CROSS JOIN (
    SELECT array_agg(r.oid) AS numbers FROM pg_type r
    WHERE r.typnamespace = 'pg_catalog'::regnamespace AND r.typname LIKE 'reg%'
) AS kinds
ORDER BY c.relation, c.attnum
