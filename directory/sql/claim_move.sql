-- The move that is to be carried next gets a fresh token and a lease; nobody waits for one that is being changed.
-- $3: how many of a cell; $4: phases in the order in which they are claimed; $5: those that are for all that;
-- $6: phases of a reverse that has brought the tenant back; $7: those in which a source is opened again.
WITH carried AS MATERIALIZED (
    SELECT source, destination FROM directory.moves WHERE ended_at IS NULL AND lease_until > clock_timestamp()
), busy AS MATERIALIZED (
    SELECT cell_id
    FROM (SELECT source AS cell_id FROM carried UNION ALL SELECT destination FROM carried) either
    GROUP BY cell_id HAVING count(*) >= $3
), chosen AS MATERIALIZED (
    SELECT m.move_id
    FROM directory.moves m
    CROSS JOIN LATERAL (SELECT m.phase = ANY ($5::text[]) OR
        (m.phase = ANY ($7::text[]) AND m.epochs ->> 'released' IS DISTINCT FROM m.epochs ->> 'opened') AS urgent) its
    WHERE m.ended_at IS NULL
      AND NOT m.paused
      AND (m.lease_until IS NULL OR m.lease_until <= clock_timestamp())
      AND (m.claim_after IS NULL OR m.claim_after <= clock_timestamp())
      AND (m.phase <> 'REVERSING'
           OR NOT EXISTS (SELECT FROM directory.moves r WHERE r.reverses = m.move_id AND r.ended_at IS NULL
                             AND r.phase <> ALL ($6::text[])))
      AND (its.urgent
           OR (m.source NOT IN (SELECT cell_id FROM busy) AND m.destination NOT IN (SELECT cell_id FROM busy)))
    ORDER BY NOT its.urgent, array_position($4::text[], m.phase), m.move_id
    LIMIT 1
    FOR NO KEY UPDATE OF m SKIP LOCKED
)
UPDATE directory.moves m
SET token = nextval('directory.epochs'), owner = $1, claim_after = NULL, updated_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => $2)
FROM chosen WHERE m.move_id = chosen.move_id
RETURNING m.*
