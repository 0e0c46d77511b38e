-- Phase, wish and token must not change between the look at them and the write.
SELECT m.*, m.phase_at + make_interval(secs => (m.options ->> 'reverse_seconds')::float8) <= clock_timestamp()
       AS way_back_over
FROM directory.moves m WHERE m.move_id = $1 FOR NO KEY UPDATE
