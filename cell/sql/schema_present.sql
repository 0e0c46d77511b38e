-- The last thing that the schema of this version makes.
SELECT to_regprocedure('cell.expire_audit(integer)') IS NOT NULL
