-- Types are read with their schemas; rows go without the triggers and foreign keys that would look for one another's.
SELECT set_config('search_path', 'pg_catalog', true), set_config('session_replication_role', 'replica', true),
       set_config('lock_timeout', '250ms', true)
