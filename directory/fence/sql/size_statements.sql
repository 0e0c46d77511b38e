-- Which statements measure each of those tables: column by column, so that large values are not fetched to be measured.
SELECT t.relation,
       format('-- How many rows the tenant has, and their bytes as stored; no more than $1 rows are counted.
SELECT count(*) AS rows, coalesce(sum(bytes), 0)::bigint AS bytes
FROM (SELECT %s AS bytes FROM %s t WHERE %s LIMIT $1) AS counted',
              (SELECT coalesce(string_agg(format('coalesce(pg_column_size(t.%I), 0)', a.attname), ' + '), '0')
               FROM pg_attribute a
               WHERE a.attrelid = to_regclass(t.relation) AND a.attnum > 0 AND NOT a.attisdropped
                 AND a.attgenerated = ''),
              t.relation, own.rows) AS count,
       format('-- What the planner believes of the same.
EXPLAIN (FORMAT JSON) SELECT t.* FROM %s t WHERE %s', t.relation, own.rows) AS believe
FROM unnest($1::text[], $2::text[]) AS t (relation, tenant_column)
JOIN pg_attribute m ON m.attrelid = to_regclass(t.relation) AND m.attname = t.tenant_column
-- As row security has it, where that is so: then it is one condition, and not believed to be two.
CROSS JOIN LATERAL (
    SELECT format('t.%I = current_setting(''app.tenant'', true)::%s', m.attname, format_type(m.atttypid, -1)) AS rows
) AS own
ORDER BY t.relation
