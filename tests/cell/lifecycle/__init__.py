"""The life of a customer on a real Postgres."""
