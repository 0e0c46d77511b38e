-- The next turn at a provider that bears $2 a second and $3 at once (GCRA, ITU-T I.371): how many seconds it is away.
-- Turns are never given out for later than $4 from now: what lies further ahead is the trace of a clock that went back.
INSERT INTO cell.providers AS p (provider, next_at)
VALUES ($1, clock_timestamp() + make_interval(secs => 1 / $2::float8))
ON CONFLICT (provider) DO UPDATE
    SET next_at = least(greatest(p.next_at, clock_timestamp()), clock_timestamp() + make_interval(secs => $4))
                  + make_interval(secs => 1 / $2::float8)
RETURNING greatest(0, extract(epoch FROM next_at - clock_timestamp()) - $3::float8 / $2::float8)::float8 AS seconds
