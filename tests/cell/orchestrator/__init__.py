"""The orchestrator on a real Postgres."""
