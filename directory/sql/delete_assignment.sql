-- A deleted tenant lives nowhere.
DELETE FROM directory.assignments WHERE tenant_id = $1 RETURNING cell_id
