"""Benchmarks and load scenarios. They speak HTTP to a running platform, and know nothing of its insides.

- `smoke`    requests/s and latency through router, cell and Postgres; `make bench-smoke`
- `results/` the latest figures, as JSON
"""
