-- What the destination may refuse because another tenant has it: unique indexes and exclusion constraints.
SELECT t.relation,
       x.relname AS name,
       NOT i.indimmediate OR coalesce(o.condeferrable, false) AS deferrable,
       ARRAY(
           SELECT coalesce(a.attname::text, '')
           FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (number, place)
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
           ORDER BY k.place
       ) AS columns,
       -- What it holds to be the same, whatever it is called and in whichever order.
       concat_ws(' ',
           (
               SELECT string_agg(
                   concat_ws(' ', pg_get_indexdef(i.indexrelid, k.place, false), c.opcname,
                             nullif(i.indcollation[k.place - 1], 0)::regcollation, o.conexclop[k.place]::regoperator),
                   ', ' ORDER BY pg_get_indexdef(i.indexrelid, k.place, false))
               FROM generate_series(1, i.indnkeyatts::int) AS k (place)
               JOIN pg_opclass c ON c.oid = i.indclass[k.place - 1]
           ),
           'WHERE ' || pg_get_expr(i.indpred, i.indrelid),
           CASE WHEN i.indnullsnotdistinct THEN 'NULLS NOT DISTINCT' END
       ) AS definition
FROM unnest($1::text[]) AS t (relation)
JOIN pg_index i ON i.indrelid = to_regclass(t.relation) AND (i.indisunique OR i.indisexclusion)
JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')
ORDER BY t.relation, x.relname
