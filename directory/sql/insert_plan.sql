-- A plan as it was made, and what it promises. By whom it is approved, if it is.
INSERT INTO directory.plans (plan_id, kind, cell_id, state, automatic, goals, summary, wave, approved_by, expires_at,
                             approved_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8, $9, clock_timestamp() + make_interval(secs => $10),
        CASE WHEN $9 <> '' THEN clock_timestamp() END)
RETURNING *
