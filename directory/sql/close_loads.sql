-- What is usual from now on, of those whose part of the week nobody else has closed since it was looked at.
WITH closed AS (
    UPDATE directory.loads l
    SET period = $1, period_seconds = 0, cpus_sum = 0, cpus_squares = 0, network_sum = 0, network_squares = 0
    FROM (
        SELECT k.tenant_id
        FROM directory.loads k
        JOIN unnest($2::text[], $3::bigint[], $4::float8[]) AS e (tenant_id, period, period_seconds)
          USING (tenant_id, period, period_seconds)
        ORDER BY k.tenant_id
        FOR UPDATE OF k
    ) AS found
    WHERE l.tenant_id = found.tenant_id
    RETURNING l.tenant_id
)
INSERT INTO directory.usual_loads AS u (tenant_id, mean, variance)
SELECT tenant_id, g.mean, g.variance
FROM closed
JOIN unnest($2::text[], $5::bytea[], $6::bytea[]) AS g (tenant_id, mean, variance) USING (tenant_id)
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE SET mean = excluded.mean, variance = excluded.variance
