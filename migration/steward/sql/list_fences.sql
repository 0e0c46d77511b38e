-- For comparing with the directory.
SELECT tenant_id, epoch, state, move_id FROM cellway.fences($1, $2)
