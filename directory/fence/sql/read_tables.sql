-- The tables whose rows belong to tenants. `key` by the same rule as capture's (cellway.key_of): the log names rows by it.
SELECT t.relation,
       n.nspname AS schema,
       c.relname AS name,
       t.tenant_column AS tenant,
       t.bound,
       c.relkind::text AS kind,
       c.relpersistence = 'u' AS unlogged,
       -- Who names another relation does not fire the triggers of statements on this one.
       CASE WHEN c.relispartition THEN 'partition'
            WHEN EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)) THEN 'inherits'
            WHEN EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid) THEN 'rules'
            WHEN EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid) THEN 'subscribed'
            -- INSERT, DELETE and UPDATE (4, 8, 16), each by the key that is the key now; a guard says for whom.
            WHEN (
                SELECT coalesce(bit_or(g.tgtype) & 28, 0) <> 28
                FROM pg_trigger g
                JOIN pg_proc p ON p.oid = g.tgfoid AND p.pronamespace = 'cellway'::regnamespace
                WHERE g.tgrelid = c.oid AND g.tgenabled = 'A' AND g.tgname LIKE 'cellway\_capture%'
                  AND EXISTS (SELECT FROM unnest(k.written) w (text) WHERE strpos(p.prosrc, w.text) > 0)
            ) OR t.bound AND NOT EXISTS (
                SELECT FROM pg_trigger g
                WHERE g.tgrelid = c.oid AND g.tgenabled = 'A' AND g.tgname = 'cellway_guard' AND g.tgtype & 28 = 28
            ) THEN 'uncaptured'
            ELSE '' END AS unfit,
       coalesce(k.names, '{}') AS key
FROM unnest($1::text[], $2::text[], $3::boolean[]) AS t (relation, tenant_column, bound)
LEFT JOIN pg_class c ON c.oid = to_regclass(t.relation)
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY k.place) AS names,
           -- As capture writes it; without a key the last value of a row of its log is null.
           CASE WHEN count(*) = 0 THEN ARRAY['NULL::text[]', ', NULL)'] ELSE ARRAY[
               'ARRAY[' || string_agg(format('%I::text', a.attname), ', ' ORDER BY k.place) || ']',
               'ARRAY[' || string_agg(format('old.%I::text', a.attname), ', ' ORDER BY k.place) || ']'
           ] END AS written
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
) AS k ON true
ORDER BY t.relation
