-- The state must not change between the look at the table of transitions and the write.
SELECT p.*, p.expires_at <= clock_timestamp() AS expired
FROM directory.plans p WHERE plan_id = $1 FOR NO KEY UPDATE
