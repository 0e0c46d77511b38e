-- Changes with any change to the tables that move: compared at every step, so it is one short look.
SELECT md5(concat(
    (SELECT string_agg(concat_ws(' ', t.relation, t.tenant_column, t.bound, to_regclass(t.relation)::oid), ','
                       ORDER BY t.relation)
     FROM cellway.tables t),
    (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                 a.atthasdef, a.attidentity, a.attgenerated, a.attcollation), ','
                       ORDER BY a.attrelid, a.attnum)
     FROM cellway.tables t
     JOIN pg_attribute a ON a.attrelid = to_regclass(t.relation) AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT string_agg(concat_ws(' ', i.indexrelid, i.indkey, i.indisunique, i.indisprimary, i.indisvalid,
                                 i.indimmediate), ',' ORDER BY i.indexrelid)
     FROM cellway.tables t JOIN pg_index i ON i.indrelid = to_regclass(t.relation)),
    (SELECT string_agg(concat_ws(' ', o.oid, o.conkey, o.confrelid, o.confkey), ',' ORDER BY o.oid)
     FROM cellway.tables t JOIN pg_constraint o ON o.conrelid = to_regclass(t.relation) AND o.contype = 'f')
)) AS fingerprint
