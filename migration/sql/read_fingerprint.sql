-- Changes with any change to the tables that move, and whenever rows may have changed without a trigger: a table
-- that was rewritten has another file, a trigger that was off for a while another version of its row. Every step
-- compares it, while a tenant may be waiting: so it is sums of hashes, whose order does not matter.
WITH t AS MATERIALIZED (
    SELECT c.oid AS number, m.relation, m.tenant_column, m.bound, c.relfilenode
    FROM cellway.tables m LEFT JOIN pg_class c ON c.oid = to_regclass(m.relation)
)
SELECT concat_ws(' ',
    (SELECT sum(hash_record_extended(ROW(t.number, t.relation, t.tenant_column, t.bound, t.relfilenode), 0)) FROM t),
    (SELECT sum(hash_record_extended(
         ROW(a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity,
             a.attgenerated, a.attcollation), 0))
     FROM t JOIN pg_attribute a ON a.attrelid = t.number WHERE a.attnum > 0 AND NOT a.attisdropped),
    (SELECT sum(hash_record_extended(
         ROW(i.indexrelid, i.indkey, i.indisunique, i.indisprimary, i.indisvalid, i.indimmediate), 0))
     FROM t JOIN pg_index i ON i.indrelid = t.number WHERE i.indisunique OR i.indisexclusion),
    (SELECT sum(hash_record_extended(ROW(o.oid, o.conkey, o.confrelid, o.confkey), 0))
     FROM t JOIN pg_constraint o ON o.conrelid = t.number AND o.contype = 'f'),
    (SELECT sum(hash_record_extended(ROW(g.oid, g.tgenabled, g.xmin), 0))
     FROM t JOIN pg_trigger g ON g.tgrelid = t.number WHERE g.tgname >= 'cellway_' AND g.tgname < 'cellway`'),
    -- Types of the database's own, whose labels may get other names.
    (SELECT sum(hash_record_extended(ROW(e.oid, e.enumlabel), 0))
     FROM t JOIN pg_attribute a ON a.attrelid = t.number AND a.attnum > 0 AND a.atttypid >= 16384
     JOIN pg_type y ON y.oid = a.atttypid
     JOIN pg_enum e ON e.enumtypid = ANY (ARRAY[y.oid, y.typelem, y.typbasetype]))
) AS fingerprint
