-- The oldest one that nobody else is taking at this moment; gone from the pool if and only if it was taken.
DELETE FROM cell.prepared_resources
WHERE resource_id = (
    SELECT resource_id FROM cell.prepared_resources WHERE kind = $1
    ORDER BY made_at, resource_id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING resource_id
