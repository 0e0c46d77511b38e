-- The last thing that the schema of this version makes.
SELECT EXISTS (SELECT FROM pg_trigger
               WHERE tgrelid = to_regclass('cell.tenants') AND tgname = 'cellway_capture_delete')
