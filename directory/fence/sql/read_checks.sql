-- What rows have to satisfy; a destination looks at every row that arrives.
SELECT t.relation, o.conname AS name, pg_get_constraintdef(o.oid) AS definition
FROM unnest($1::text[]) AS t (relation)
JOIN pg_constraint o ON o.conrelid = to_regclass(t.relation) AND o.contype = 'c'
ORDER BY t.relation, o.conname
