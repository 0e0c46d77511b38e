"""Moves a tenant to another cell while it is being read and written.

In reading order:
- `rules/`: pure. What is known of a schema, statements for any table, chunks, hashes, what keeps rows out;
- `ends`: one database of a move, as readers with a snapshot and writers with a token; `catalog` reads its schema;
- `copying`: the first copy, chunk by chunk; `streams`: rows on their way, never decoded;
- `pacing`, `probing`: copies wait for turns, by how long commits take at their source;
- `statistics`: planners learn of the rows that came;
- `stepping`: from a snapshot at which both ends are equal to a later one, which is the heart of it;
- `verifying`, `sequences`, `removing`: sums of all rows, numbers to come, rows to go;
- `fences`, `switching`: who may write where, and the moment when that changes;
- `carrier`: one move from phase to phase; `mover`: claims moves; `app`, `settings`, `metrics`, `databases`;
- `adopting/`: takes a database in that is not ours, and lets it go; `steward/`: the control contract for it.

Nothing here knows a table of our own cell: it moves rows of whatever `cellway.tables` lists. What it rests on lies
in `directory`: the fence and capture in every database (`directory.fence`), and moves, tokens and epochs
(`directory.moves`).
"""
