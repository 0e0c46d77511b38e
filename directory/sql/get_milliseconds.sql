-- Ids sort by time, so they are made by one clock: this database's.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
