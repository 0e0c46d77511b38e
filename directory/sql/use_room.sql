-- What a reservation was promised becomes a tenant's. It is promised once more: a picture in which the reservation
-- was over by the time it was looked at is outdated with that. $2: what it takes.
UPDATE directory.rooms
SET promised = ARRAY(SELECT p + t FROM unnest(promised, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n),
    placed = ARRAY(SELECT p + t FROM unnest(placed, $2::float8[]) WITH ORDINALITY u (p, t, n) ORDER BY n)
WHERE cell_id = $1
