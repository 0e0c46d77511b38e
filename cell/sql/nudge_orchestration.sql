-- Something came from outside: whoever is at it looks again when it lets go, and else it is looked at now.
UPDATE cell.orchestrations
SET nudges = nudges + 1, cancel_requested = cancel_requested OR $2, updated_at = now(),
    wake_at = CASE WHEN leased AND wake_at > clock_timestamp() THEN wake_at ELSE clock_timestamp() END
WHERE orchestration_id = $1 AND outcome IS NULL RETURNING *
