-- What was written since snapshot $1. The first row tells of the reader itself; at most $2 keys follow. With the
-- fingerprint, in the place that is named so, it is one round trip while a tenant may be waiting.
SELECT NULL::text AS relation,
       ARRAY[pg_current_snapshot()::text, cellway.history(), set_config('cellway.since', $1, true),
             (pg_snapshot_xmax($1::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()))::text,
             ({fingerprint})] AS key
UNION ALL
(SELECT l.relation, l.key FROM cellway.logged(current_setting('app.tenant'), $1) l LIMIT $2::bigint)
