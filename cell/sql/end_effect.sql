-- What was done under a key, for whoever asks again.
UPDATE cell.party_effects SET state = $3, output = $4, updated_at = now() WHERE party = $1 AND key = $2
