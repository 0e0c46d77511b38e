-- What the rows refer to: other tables that move, and some that do not and so must have the rows already.
SELECT t.relation,
       o.conname AS name,
       format('%I.%I', n.nspname, r.relname) AS referenced,
       NOT EXISTS (SELECT FROM unnest($1::text[]) AS m (relation) WHERE to_regclass(m.relation) = r.oid) AS shared,
       ARRAY(
           SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY AS k (number, place)
           JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number ORDER BY k.place
       ) AS columns,
       ARRAY(
           SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY AS k (number, place)
           JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number ORDER BY k.place
       ) AS referenced_columns
FROM unnest($1::text[]) AS t (relation)
JOIN pg_constraint o ON o.conrelid = to_regclass(t.relation) AND o.contype = 'f'
JOIN pg_class r ON r.oid = o.confrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
ORDER BY t.relation, o.conname
