-- Every assignment; read in the snapshot in which the head was read.
SELECT tenant_id, cell_id, epoch FROM directory.assignments
