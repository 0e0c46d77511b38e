-- What the destination may refuse because another tenant has it: unique indexes and exclusion constraints.
SELECT t.relation,
       x.relname AS name,
       NOT i.indimmediate OR coalesce(o.condeferrable, false) AS deferrable,
       ARRAY(
           SELECT coalesce(a.attname::text, '')
           FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (number, place)
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
           ORDER BY k.place
       ) AS columns
FROM unnest($1::text[]) AS t (relation)
JOIN pg_index i ON i.indrelid = to_regclass(t.relation) AND (i.indisunique OR i.indisexclusion)
JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')
ORDER BY t.relation, x.relname
