-- The state must not change between the look at the table of transitions and the write.
SELECT state, revision FROM directory.tenants WHERE tenant_id = $1 FOR UPDATE
