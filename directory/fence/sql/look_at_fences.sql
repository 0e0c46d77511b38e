-- What this database knows of these tenants; none of those that have never been there.
SELECT name AS tenant_id, seen.epoch, seen.state
FROM unnest($1::text[]) name CROSS JOIN LATERAL cellway.enter(name, 0) seen
WHERE seen.epoch IS NOT NULL
