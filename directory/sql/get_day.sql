-- The day in which use is recorded now: one for all placements, whatever their own clocks say.
SELECT (now() AT TIME ZONE 'UTC')::date AS day
