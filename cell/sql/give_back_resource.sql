-- For whoever needs one next.
INSERT INTO cell.prepared_resources (resource_id, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING
