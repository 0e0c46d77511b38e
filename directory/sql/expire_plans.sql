-- Nobody has approved of them in time.
UPDATE directory.plans SET state = 'EXPIRED', ended_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE state = 'PROPOSED' AND expires_at <= clock_timestamp()
RETURNING *
