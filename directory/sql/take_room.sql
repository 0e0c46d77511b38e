-- Promise room in a cell by compare-and-set with the picture that it was chosen from: what the cell offers is as it
-- was, and no part of what was promised since leaves too little. Most of a burst passes; only who is in the way of
-- somebody does not. $2: what is taken; $3: what may have been promised then at most; $4: the offer; $5: a tenant
-- takes it, not a reservation.
UPDATE directory.rooms
SET promised = ARRAY(SELECT p + t FROM unnest(promised, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n),
    placed = CASE WHEN $5 THEN
        ARRAY(SELECT p + t FROM unnest(placed, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n)
        ELSE placed END
WHERE cell_id = $1 AND offer = $4
  AND NOT EXISTS (SELECT FROM unnest(promised, $2::float8[], $3::float8[]) u (p, t, m) WHERE t > 0 AND p + t > m)
RETURNING cell_id
