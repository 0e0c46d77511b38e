-- Every table that somebody made here, and what matters about it when its rows are to move.
SELECT format('%I.%I', n.nspname, c.relname) AS relation,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       c.relispartition AS partition,
       c.relpersistence = 'u' AS unlogged,
       c.relrowsecurity AS row_security,
       row_security_active(c.oid) AS hidden,
       o.rolname AS owner,
       pg_has_role(c.relowner, 'USAGE') AS ours,
       has_database_privilege(c.relowner, current_database(), 'CREATE') AS owner_creates,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid) AS inherits,
       EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid) AS rules,
       greatest(c.reltuples, 0)::bigint AS rows,
       pg_total_relation_size(c.oid) AS bytes,
       ARRAY(
           SELECT t.tgname || ' ' || t.tgenabled::text FROM pg_trigger t
           WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'cellway\_%' ORDER BY t.tgname
       ) AS triggers,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'cellway_guard') AS guarded,
       (
           SELECT count(*) = 4 FROM pg_trigger t
           WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
             AND t.tgname IN ('cellway_capture_insert', 'cellway_capture_update', 'cellway_capture_delete',
                              'cellway_truncate')
       ) AS intact,
       -- The triggers' function names the key as it was when it was made.
       (
           SELECT p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
           WHERE t.tgrelid = c.oid AND t.tgname = 'cellway_capture_insert'
       ) AS capture,
       coalesce((
           SELECT 'ARRAY[' || string_agg(format('%I::text', a.attname), ', ' ORDER BY k.place) || ']'
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
       ), 'NULL::text[]') AS key,
       -- The first columns of its indexes: by them one tenant's rows are found.
       ARRAY(
           SELECT DISTINCT a.attname::text FROM pg_index i
           JOIN pg_class x ON x.oid = i.indexrelid
           JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
           WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
       ) AS indexed
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles o ON o.oid = c.relowner
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cellway', 'upgrades')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY n.nspname, c.relname
