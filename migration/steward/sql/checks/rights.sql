-- A mover that may not read or write a table is stopped by it in the middle of a move.
SELECT format('%s on %s', wanted.right, t.relation) AS finding
FROM cellway.tables t
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('DELETE')) AS wanted (right)
WHERE NOT coalesce(has_table_privilege(to_regclass(t.relation), wanted.right), false)
ORDER BY 1
