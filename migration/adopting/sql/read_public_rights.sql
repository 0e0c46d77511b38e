-- What everybody may do anyway need not be granted, nor taken away again.
SELECT has_database_privilege('public', current_database(), 'CONNECT') AS connect,
       ARRAY(SELECT n.nspname::text FROM pg_namespace n WHERE has_schema_privilege('public', n.oid, 'USAGE')) AS schemas
