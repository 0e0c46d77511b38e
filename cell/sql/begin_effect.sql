-- The first word under a key, done in this transaction; whoever comes at the same moment waits for it. No row: known.
INSERT INTO cell.party_effects (party, key, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING key
