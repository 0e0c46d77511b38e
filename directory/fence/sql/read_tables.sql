-- The tables whose rows belong to tenants. `key` by the same rule as capture's (cellway.key_of): the log names rows by it.
SELECT t.relation,
       n.nspname AS schema,
       c.relname AS name,
       t.tenant_column AS tenant,
       t.bound,
       c.relkind::text AS kind,
       coalesce((
           SELECT array_agg(a.attname::text ORDER BY k.place)
           FROM (
               SELECT i.indexrelid, i.indkey, i.indnkeyatts
               FROM pg_index i
               WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                 AND i.indpred IS NULL AND i.indexprs IS NULL
                 AND NOT EXISTS (
                     SELECT FROM pg_attribute a, unnest(i.indkey[0:i.indnkeyatts - 1]) AS m (number)
                     WHERE a.attrelid = i.indrelid AND a.attnum = m.number AND NOT a.attnotnull
                 )
               ORDER BY NOT i.indisprimary, i.indnkeyatts, i.indexrelid::regclass::text
               LIMIT 1
           ) AS chosen
           CROSS JOIN unnest(chosen.indkey[0:chosen.indnkeyatts - 1]) WITH ORDINALITY AS k (number, place)
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
       ), '{}') AS key
FROM unnest($1::text[], $2::text[], $3::boolean[]) AS t (relation, tenant_column, bound)
LEFT JOIN pg_class c ON c.oid = to_regclass(t.relation)
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY t.relation
