-- How far an export is.
SELECT part, source, last_key FROM cell.exports WHERE export_id = $1 ORDER BY part DESC LIMIT 1
