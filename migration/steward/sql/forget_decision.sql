-- A deleted tenant leaves nothing but its fence.
DELETE FROM cellway.decisions WHERE tenant_id = $1
