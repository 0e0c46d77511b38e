-- total_size, on request only.
SELECT count(*) FROM cell.operations WHERE {filter}
