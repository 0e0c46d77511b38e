-- Nobody writes in a database that was restored before it is known who lives there by now. Fenced: whoever lived there
-- then, with all of its rows.
UPDATE cellway.fence
SET state = CASE WHEN state IN ('active', 'fenced') THEN 'fenced' ELSE 'moved' END,
    move_id = NULL, captured = false, updated_at = now()
RETURNING tenant_id, epoch, state
