-- Numbered without gaps; the last one has no source.
INSERT INTO cell.exports (export_id, part, source, content, last_key) VALUES ($1, $2, $3, $4, $5)
