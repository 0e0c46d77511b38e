-- Told again, today's use is replaced: the last word of a day counts.
INSERT INTO directory.fleet_use (day, region, resource, used, most, cells)
SELECT (now() AT TIME ZONE 'UTC')::date, told.region, told.resource, told.used, told.most, told.cells
FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::int[])
    AS told (region, resource, used, most, cells)
ON CONFLICT (day, region, resource) DO UPDATE
SET used = excluded.used, most = excluded.most, cells = excluded.cells
