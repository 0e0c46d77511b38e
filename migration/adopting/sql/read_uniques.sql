-- What another tenant's row at the destination may have already.
SELECT format('%I.%I', n.nspname, c.relname) AS relation,
       x.relname AS name,
       i.indisprimary AS primary,
       ARRAY(
           SELECT coalesce(a.attname::text, '')
           FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (number, place)
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
           ORDER BY k.place
       ) AS columns
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class x ON x.oid = i.indexrelid
WHERE (i.indisunique OR i.indisexclusion)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cellway', 'upgrades')
  AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY relation, x.relname
