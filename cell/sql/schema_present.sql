-- The last thing that the schema of this version makes.
SELECT to_regprocedure('cell.tenant_count()') IS NOT NULL
