-- Both cells of a move, always in the same order: two moves that cross must not wait for each other.
SELECT cell_id FROM directory.cells WHERE cell_id = ANY ($1::text[]) ORDER BY cell_id FOR NO KEY UPDATE
