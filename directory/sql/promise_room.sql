-- Room goes to a tenant without a look at how much there is, for that has been compared already, or need not be. It is
-- promised all the same, and counts as placed: each picture from before is outdated with that, and each look from now
-- on has it. $2: what is taken.
UPDATE directory.rooms
SET promised = ARRAY(SELECT p + t FROM unnest(promised, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n),
    placed = ARRAY(SELECT p + t FROM unnest(placed, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n)
WHERE cell_id = $1
