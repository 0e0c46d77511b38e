-- Both cells of a move, in one order; those that another move has stay its own until its time is over.
INSERT INTO directory.move_switches AS known (cell_id, move_id, until)
SELECT cell_id, $2, clock_timestamp() + make_interval(secs => $3) FROM unnest($1::text[]) cell_id ORDER BY cell_id
ON CONFLICT (cell_id) DO UPDATE SET move_id = excluded.move_id, until = excluded.until
    WHERE known.move_id = excluded.move_id OR known.until <= clock_timestamp()
RETURNING cell_id
