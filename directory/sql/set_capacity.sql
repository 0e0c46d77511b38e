-- As a whole, because null is a value here. After `lock_cell`, in the same transaction.
UPDATE directory.cells
SET capacity_cpus = $2, capacity_memory_bytes = $3, capacity_storage_bytes = $4, capacity_network_bits = $5
WHERE cell_id = $1
