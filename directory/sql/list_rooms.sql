-- All cells with what was let into them and what is reserved there, as of one moment.
SELECT c.*, r.offer, r.promised, r.placed, v.reserved
FROM directory.cells c
JOIN directory.rooms r USING (cell_id)
LEFT JOIN (
    SELECT cell_id, array_agg(total ORDER BY n) AS reserved
    FROM (
        SELECT cell_id, n, sum(t) AS total
        FROM directory.reservations, unnest(takes) WITH ORDINALITY u (t, n)
        WHERE until > clock_timestamp()
        GROUP BY cell_id, n
    ) sums
    GROUP BY cell_id
) v USING (cell_id)
ORDER BY c.cell_id
