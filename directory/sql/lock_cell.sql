-- The state must not change between the look at the table of transitions and the write.
SELECT * FROM directory.cells WHERE cell_id = $1 FOR UPDATE
