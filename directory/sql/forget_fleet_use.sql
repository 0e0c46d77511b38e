-- So that the directory does not grow for ever.
DELETE FROM directory.fleet_use WHERE day <= (now() AT TIME ZONE 'UTC')::date - $1::int
