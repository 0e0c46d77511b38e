-- Changes with any change to the tables that move. Every step compares it, while a tenant may be waiting: so it is
-- sums of hashes, whose order does not matter.
WITH t AS MATERIALIZED (
    SELECT to_regclass(relation)::oid AS number, relation, tenant_column, bound FROM cellway.tables
)
SELECT concat_ws(' ',
    (SELECT sum(hash_record_extended(ROW(t.number, t.relation, t.tenant_column, t.bound), 0)) FROM t),
    (SELECT sum(hash_record_extended(
         ROW(a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity,
             a.attgenerated, a.attcollation), 0))
     FROM t JOIN pg_attribute a ON a.attrelid = t.number WHERE a.attnum > 0 AND NOT a.attisdropped),
    (SELECT sum(hash_record_extended(
         ROW(i.indexrelid, i.indkey, i.indisunique, i.indisprimary, i.indisvalid, i.indimmediate), 0))
     FROM t JOIN pg_index i ON i.indrelid = t.number),
    (SELECT sum(hash_record_extended(ROW(o.oid, o.conkey, o.confrelid, o.confkey), 0))
     FROM t JOIN pg_constraint o ON o.conrelid = t.number AND o.contype = 'f')
) AS fingerprint
