-- The tenant's no more; of which kind it is, if it was.
DELETE FROM cell.taken_resources WHERE resource_id = $1 RETURNING kind
