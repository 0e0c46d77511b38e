-- Who else is connected to this database: nobody should be, while it is brought up to date.
SELECT DISTINCT usename::text AS role FROM pg_stat_activity
WHERE datname = current_database() AND usename <> session_user
ORDER BY role
