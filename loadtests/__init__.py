"""Benchmarks and load scenarios. Most speak HTTP to real programs, and know nothing of their insides.

- `smoke`    requests/s and latency through router, cell and Postgres; `make bench-smoke`
- `cell/`    the cell's API beside FastAPI with SQLAlchemy; `make bench-cell`
- `results/` the latest figures, as JSON
"""
