-- Its way back is taken by another move; until that ends, it waits.
UPDATE directory.moves
SET phase = $2, phase_at = clock_timestamp(), wish = 'run', paused = false, claim_after = NULL,
    updated_at = clock_timestamp()
WHERE move_id = $1
