-- What a backup says of moves is long over: nobody may carry them on from there.
UPDATE directory.moves
SET phase = 'ABORTED', phase_at = clock_timestamp(), ended_at = clock_timestamp(), updated_at = clock_timestamp(),
    owner = '', lease_until = NULL, error = 'ended, because the control database was restored'
WHERE ended_at IS NULL
RETURNING move_id
