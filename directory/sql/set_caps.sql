-- As a whole, because null is a value here. After `lock_cell`, in the same transaction.
UPDATE directory.cells SET cap_revenue = $2, cap_top_tier = $3 WHERE cell_id = $1
