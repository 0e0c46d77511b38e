-- Entries of the audit log that are $1 seconds old, at most $2.
SELECT directory.forget_audit($1, $2)
