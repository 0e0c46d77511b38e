-- What a cell told of tenants that live there: rates since it told last, added to the part of the week that goes on.
-- Nothing counts twice: a row takes only what is younger, from the same start. The first counters of a start, or of
-- another cell, are where counting begins. A part of the week that has ended is left alone until it was closed, for
-- counters go on meanwhile. Who does nothing, and did nothing, is written only now and then. Rates stay above 1e-12,
-- because Postgres refuses what gets too small for it. Of who was never measured for as long as rates are smoothed over,
-- they are the mean of all that time: nothing was closed yet. What passes to and from the database is null where a cell
-- does not say it, and begins when it does.
INSERT INTO directory.loads AS l
    (tenant_id, cell_id, start, age_seconds, cpu_seconds, network_bytes, requests, database_seconds, job_seconds,
     database_bytes, memory_bytes, storage_bytes, row_bytes, period, measured_at)
SELECT g.tenant_id, $1, $2, $3, g.cpu_seconds, g.network_bytes, g.requests, g.database_seconds, g.job_seconds,
       g.database_bytes, g.memory_bytes, g.storage_bytes, g.row_bytes, $4, $5
FROM unnest($6::text[], $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::float8[],
            $13::float8[], $19::float8[], $20::float8[])
     AS g (tenant_id, cpu_seconds, network_bytes, requests, database_seconds, job_seconds, memory_bytes,
           storage_bytes, row_bytes, database_bytes)
JOIN directory.assignments a ON a.tenant_id = g.tenant_id AND a.cell_id = $1
ORDER BY g.tenant_id COLLATE "C"
ON CONFLICT (tenant_id) DO UPDATE
SET (cell_id, start, age_seconds, cpu_seconds, network_bytes, requests, database_seconds, job_seconds, database_bytes,
     memory_bytes, storage_bytes, row_bytes, measured_at, cpus, network_bits, request_rate, database_share, job_share,
     database_bits, period, period_seconds, cpus_sum, cpus_squares, network_sum, network_squares)
= (
    SELECT excluded.cell_id, excluded.start, excluded.age_seconds, excluded.cpu_seconds, excluded.network_bytes,
           excluded.requests, excluded.database_seconds, excluded.job_seconds, excluded.database_bytes,
           coalesce(excluded.memory_bytes, l.memory_bytes), coalesce(excluded.storage_bytes, l.storage_bytes),
           coalesce(excluded.row_bytes, l.row_bytes), excluded.measured_at,
           CASE WHEN t.follows THEN greatest(coalesce(l.cpus + t.weight * (t.cpus - l.cpus), t.cpus), 1e-12)
                ELSE l.cpus END,
           CASE WHEN t.follows THEN greatest(coalesce(l.network_bits + t.weight * (t.bits - l.network_bits), t.bits), 1e-12)
                ELSE l.network_bits END,
           CASE WHEN t.follows THEN greatest(coalesce(l.request_rate + t.weight * (t.requests - l.request_rate), t.requests), 1e-12)
                ELSE l.request_rate END,
           CASE WHEN t.follows THEN greatest(coalesce(l.database_share + t.weight * (t.database - l.database_share), t.database), 1e-12)
                ELSE l.database_share END,
           CASE WHEN t.follows THEN greatest(coalesce(l.job_share + t.weight * (t.jobs - l.job_share), t.jobs), 1e-12)
                ELSE l.job_share END,
           CASE WHEN excluded.database_bytes IS NULL THEN NULL
                WHEN t.follows AND t.wire IS NOT NULL
                THEN greatest(coalesce(l.database_bits + t.weight * (t.wire - l.database_bits), t.wire), 1e-12)
                ELSE l.database_bits END,
           CASE WHEN t.kept THEN l.period ELSE excluded.period END,
           CASE WHEN t.kept THEN l.period_seconds ELSE 0 END + t.seconds,
           CASE WHEN t.kept THEN l.cpus_sum ELSE 0 END + t.seconds * t.cpus,
           CASE WHEN t.kept THEN l.cpus_squares ELSE 0 END + t.seconds * t.cpus * t.cpus,
           CASE WHEN t.kept THEN l.network_sum ELSE 0 END + t.seconds * t.bits,
           CASE WHEN t.kept THEN l.network_squares ELSE 0 END + t.seconds * t.bits * t.bits
    FROM (
        SELECT follows,
               NOT follows OR (l.period_seconds > 0 AND l.period <= excluded.period + 1) AS kept,
               CASE WHEN follows AND passed <= $14 THEN passed ELSE 0 END AS seconds,
               CASE WHEN l.period_seconds < $15::float8
                     AND NOT EXISTS (SELECT FROM directory.usual_loads u WHERE u.tenant_id = l.tenant_id)
                    THEN greatest(1 - exp(-least(passed / $15::float8, 100)), passed / (l.period_seconds + passed))
                    ELSE 1 - exp(-least(passed / $15::float8, 100)) END AS weight,
               greatest(excluded.cpu_seconds - l.cpu_seconds, 0) / passed AS cpus,
               greatest(excluded.network_bytes - l.network_bytes, 0) * 8 / passed AS bits,
               greatest(excluded.requests - l.requests, 0) / passed AS requests,
               greatest(excluded.database_seconds - l.database_seconds, 0) / passed AS database,
               greatest(excluded.job_seconds - l.job_seconds, 0) / passed AS jobs,
               CASE WHEN excluded.database_bytes >= l.database_bytes
                    THEN (excluded.database_bytes - l.database_bytes) * 8 / passed END AS wire
        FROM (
            SELECT (l.cell_id, l.start) = (excluded.cell_id, excluded.start) AS follows,
                   greatest(excluded.age_seconds - l.age_seconds, 1) AS passed
        ) AS told
    ) AS t
)
WHERE (l.cell_id, l.start) <> (excluded.cell_id, excluded.start)
   OR (excluded.age_seconds >= l.age_seconds + 1
       AND (l.period_seconds = 0 OR l.period >= excluded.period)
       AND NOT (coalesce(l.cpus < $16 AND l.network_bits < $17, false)
                AND (l.cpu_seconds, l.network_bytes, l.requests)
                    = (excluded.cpu_seconds, excluded.network_bytes, excluded.requests)
                AND l.measured_at BETWEEN excluded.measured_at - make_interval(secs => $18) AND excluded.measured_at))
