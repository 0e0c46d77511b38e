-- The columns of those tables, with what beneath domains they are made of.
WITH RECURSIVE columns AS (
    SELECT t.relation, a.attname, a.attnum, a.attrelid, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
           a.attidentity, a.attgenerated, a.attcollation
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
),
-- These hold numbers of objects, which every database gives anew; their text holds names.
named AS (
    SELECT array_agg(r.oid) AS numbers FROM pg_type r
    WHERE r.typnamespace = 'pg_catalog'::regnamespace AND r.typname LIKE 'reg%'
),
-- Once a type, for most columns are of a few.
types AS MATERIALIZED (
    SELECT b.type,
           CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype = 'b' THEN y.typname::text ELSE '' END
               AS base,
           y.typsend <> 0 AND y.typreceive <> 0
               AND NOT (y.oid = ANY (named.numbers) OR y.typelem = ANY (named.numbers)) AS binary,
           -- Equal, greater, and no greater, as its index compares; what is an extension's is not in pg_catalog.
           ARRAY(
               SELECT CASE WHEN n.nspname = 'pg_catalog' THEN p.oprname::text
                           ELSE format('OPERATOR(%I.%s)', n.nspname, p.oprname) END
               FROM pg_opclass o
               JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
               JOIN pg_amop e ON e.amopfamily = o.opcfamily AND e.amopstrategy IN (3, 5, 2)
                   AND e.amoplefttype = o.opcintype AND e.amoprighttype = o.opcintype
               JOIN pg_operator p ON p.oid = e.amopopr
               JOIN pg_namespace n ON n.oid = p.oprnamespace
               WHERE o.opcintype = y.oid AND o.opcdefault
               ORDER BY array_position(ARRAY[3, 5, 2], e.amopstrategy::int)
           ) AS operators,
           ARRAY(
               SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid IN (y.oid, y.typelem) ORDER BY e.enumlabel
           ) AS labels,
           -- What domains demand, and the parts of a composite type.
           concat_ws(', ',
               (SELECT string_agg(pg_get_constraintdef(o.oid), ', ' ORDER BY pg_get_constraintdef(o.oid))
                FROM beneath d JOIN pg_constraint o ON o.contypid = d.base WHERE d.type = b.type),
               (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                FROM pg_class k JOIN pg_attribute a ON a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE k.reltype IN (y.oid, y.typelem) AND k.relkind = 'c')
           ) AS made_of
    FROM beneath b
    JOIN pg_type y ON y.oid = b.base
    CROSS JOIN named
    WHERE b.typtype <> 'd'
)
SELECT c.relation,
       c.attname AS name,
       format_type(c.atttypid, c.atttypmod) AS type,
       format_type(c.atttypid, -1) AS plain_type,
       t.base,
       t.binary,
       NOT c.attnotnull AS nullable,
       c.atthasdef OR c.attidentity <> '' AS filled,
       c.attgenerated <> '' AS generated,
       CASE WHEN c.attgenerated <> '' THEN (
           SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
           WHERE d.adrelid = c.attrelid AND d.adnum = c.attnum
       ) END AS expression,
       EXISTS (SELECT FROM pg_collation o WHERE o.oid = c.attcollation AND NOT o.collisdeterministic) AS folding,
       t.operators,
       t.labels,
       t.made_of
FROM columns c
JOIN types t ON t.type = c.atttypid
ORDER BY c.relation, c.attnum
