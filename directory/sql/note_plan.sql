-- What a plan waits for.
UPDATE directory.plans SET error = $2, updated_at = clock_timestamp() WHERE plan_id = $1 RETURNING *
