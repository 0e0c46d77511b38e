-- total_size, on request only.
SELECT count(*) FROM cell.api_keys WHERE {filter}
