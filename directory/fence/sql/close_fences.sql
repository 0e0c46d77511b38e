-- Nobody is served by a database that was restored before it is known who lives there by now. Fenced: whoever lived there
-- then, with all of its rows. What a mover may have to finish stays its own.
UPDATE cellway.fence
SET state = CASE WHEN state = 'active' THEN 'fenced' ELSE state END,
    move_id = CASE WHEN state = 'active' THEN NULL ELSE move_id END,
    captured = false, updated_at = now()
RETURNING tenant_id, state
