-- What forecasts are made from: the last days of every pool and resource.
SELECT day, region, resource, used, most, cells
FROM directory.fleet_use
WHERE day > (now() AT TIME ZONE 'UTC')::date - $1::int
ORDER BY region, resource, day
