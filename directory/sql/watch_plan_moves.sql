-- What became of the moves that a plan has begun. $2: phases in which the tenant has arrived; $3: those in which it
-- stays, or goes back; $4: after so many seconds of rest or trouble a move is left to itself. Each try of a switch
-- begins a phase anew and clears the error, so in the phases $5 that time counts from when it was READY first, with
-- what was copied last; $6 is then said. $7: the plan stops, so one that nobody has carried for so long is left, too;
-- $8 is said of what rests without an error. Of one that has ended the bytes are those that were copied, where that is
-- known.
WITH told AS (
    SELECT p.number, nullif(m.error, '') AS error, m.move_id IS NULL AS unknown,
           CASE WHEN m.move_id IS NULL OR m.phase = ANY ($3::text[]) THEN 'failed'
                WHEN m.phase = ANY ($2::text[]) THEN 'moved'
                WHEN (m.paused OR m.error <> '')
                     AND greatest(m.phase_at, p.begun_at) <= clock_timestamp() - make_interval(secs => $4) THEN 'left'
                WHEN vain.is_so THEN 'left'
                WHEN $7 AND greatest(m.updated_at, p.begun_at) <= clock_timestamp() - make_interval(secs => $4)
                     THEN 'left'
           END AS state,
           CASE WHEN vain.is_so THEN $6 END AS in_vain,
           CASE WHEN jsonb_typeof(m.progress -> 'bytes_copied') = 'number'
                THEN greatest(0, (m.progress ->> 'bytes_copied')::double precision) END AS copied
    FROM directory.plan_moves p LEFT JOIN directory.moves m ON m.move_id = p.move_id
    CROSS JOIN LATERAL (
        SELECT m.phase = ANY ($5::text[]) AND m.wish <> 'cancel' AND EXISTS (
            SELECT FROM directory.move_events e
            WHERE e.move_id = m.move_id AND e.phase = 'READY'
              AND e.at <= clock_timestamp() - make_interval(secs => $4)
              AND e.number > (SELECT coalesce(max(c.number), 0) FROM directory.move_events c
                              WHERE c.move_id = m.move_id AND c.phase = 'COPYING')) AS is_so
    ) vain
    WHERE p.plan_id = $1 AND p.state = 'begun'
)
UPDATE directory.plan_moves p
SET state = told.state,
    bytes = CASE WHEN told.state IN ('moved', 'failed') THEN coalesce(told.copied, p.bytes) ELSE p.bytes END,
    error = CASE WHEN told.unknown THEN 'the move is known no longer'
                 ELSE coalesce(told.error, nullif(p.error, ''), told.in_vain,
                               CASE told.state WHEN 'left' THEN $8 ELSE '' END) END
FROM told
WHERE p.plan_id = $1 AND p.number = told.number AND told.state IS NOT NULL
RETURNING p.state, p.bytes, p.error
