-- total_size, on request only.
SELECT count(*) FROM cell.orchestrations WHERE {filter}
