-- What a party remembers of a key: what it did, or a tombstone.
SELECT state, output FROM cell.party_effects WHERE party = $1 AND key = $2
