-- As long as fewer than $8 of them hold; several at once may be a few more. $9: for how many seconds. Those that are
-- over and not yet removed take room from nobody, and keep nobody from any.
INSERT INTO directory.reservations (reservation_id, cell_id, takes, plan, region, tags, dedicated_to, until)
SELECT $1, $2, $3::float8[], $4, $5, $6::text[], $7, clock_timestamp() + make_interval(secs => $9)
WHERE (SELECT count(*) FROM directory.reservations WHERE until > statement_timestamp()) < $8
RETURNING *, true AS holds
