-- What became of the moves that a plan has begun. $2: phases in which the tenant has arrived; $3: those in which it
-- stays, or goes back; $4: after so many seconds of rest or trouble a move is left to itself.
WITH told AS (
    SELECT p.number, m.error,
           CASE WHEN m.move_id IS NULL OR m.phase = ANY ($3::text[]) THEN 'failed'
                WHEN m.phase = ANY ($2::text[]) THEN 'moved'
                WHEN (m.paused OR m.error <> '')
                     AND greatest(m.phase_at, p.begun_at) <= clock_timestamp() - make_interval(secs => $4) THEN 'left'
           END AS state
    FROM directory.plan_moves p LEFT JOIN directory.moves m ON m.move_id = p.move_id
    WHERE p.plan_id = $1 AND p.state = 'begun'
)
UPDATE directory.plan_moves p
SET state = told.state, error = coalesce(told.error, 'the move is known no longer')
FROM told
WHERE p.plan_id = $1 AND p.number = told.number AND told.state IS NOT NULL
RETURNING p.state, p.bytes, p.error
