-- total_size, on request only.
SELECT count(*) FROM cell.namespaces n WHERE n.account_id = $1 AND {filter}
