-- The last thing that the schema of this version makes.
SELECT EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = to_regclass('cell.orchestration_steps') AND attname = 'deaths')
