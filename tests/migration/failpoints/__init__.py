"""`kill -9` for real: movers, both cells' Postgres and the directory's, at every boundary of a move's phases."""
