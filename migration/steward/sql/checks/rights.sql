-- A mover that may not read or write a table is stopped by it in the middle of a move.
SELECT format('%s on %s', wanted.privilege, t.relation) AS finding
FROM cellway.tables t
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('DELETE')) AS wanted (privilege)
WHERE NOT coalesce(has_table_privilege(to_regclass(t.relation), wanted.privilege), false)
ORDER BY 1
