-- The tenant's no more.
DELETE FROM cell.taken_resources WHERE resource_id = $1
