-- total_size, on request only.
SELECT count(*) FROM cell.audit_entries WHERE {filter}
