"""`kill -9` for real: workers, API, Redis with its data wiped, and Postgres, at every boundary of every step."""
