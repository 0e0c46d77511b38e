-- So that several connections verify the same moment.
SELECT pg_export_snapshot()
