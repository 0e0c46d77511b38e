-- The least occupied with room left.
SELECT shard_id FROM cell.shards WHERE occupancy < capacity
ORDER BY occupancy::float8 / capacity, shard_id LIMIT 1
