-- Types are read with their schemas, so that they mean the same in every database.
SELECT set_config('search_path', 'pg_catalog', true)
