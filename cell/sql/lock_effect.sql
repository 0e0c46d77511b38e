-- Held until what was done under the key is undone.
SELECT state, output FROM cell.party_effects WHERE party = $1 AND key = $2 FOR UPDATE
