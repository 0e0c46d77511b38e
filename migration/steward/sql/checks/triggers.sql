-- Without one of its triggers a table is written to past the fence, or past a move.
SELECT format('%s has no %s that always fires', t.relation, wanted.name) AS finding
FROM cellway.tables t
CROSS JOIN (VALUES ('cellway_capture_insert'), ('cellway_capture_update'), ('cellway_capture_delete'),
                   ('cellway_truncate')) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger g
    WHERE g.tgrelid = to_regclass(t.relation) AND g.tgname = wanted.name AND g.tgenabled = 'A'
)
ORDER BY 1
