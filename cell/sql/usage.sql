-- By steps of $4, what went into its minute and what did not yet, as of one moment: nothing is missing or there twice.
SELECT date_trunc($4, counted.at, 'UTC') AS start, sum(counted.quantity) AS quantity
FROM (
    SELECT m.minute AS at, m.quantity FROM cell.usage_minutes m
    WHERE m.meter = $1 AND m.minute >= $2 AND m.minute < $3
    UNION ALL
    SELECT r.at, r.quantity FROM cell.usage_records r
    WHERE r.meter = $1 AND r.rolled_at IS NULL AND r.at >= $2 AND r.at < $3
) counted
GROUP BY 1 ORDER BY 1
