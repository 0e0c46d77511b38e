-- The tenant's quotas are looked at by one transaction at a time. Held to its end, and the last lock that it takes: the
-- next one then sees what this one added.
SELECT pg_advisory_xact_lock(hashtextextended($1 || ' quotas', 2))
