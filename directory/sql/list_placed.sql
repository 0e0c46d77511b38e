-- What tenants took that were created in each cell or began to move there so far; read in the snapshot in which they are counted.
SELECT cell_id, placed FROM directory.rooms
