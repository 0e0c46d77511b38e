"""Jobs on a real Postgres."""
